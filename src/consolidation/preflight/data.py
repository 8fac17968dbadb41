"""Checks of the source's rows: those that the lineage's tables would refuse are found before the window, not in it.

One scan for each table, one query for each key that the source may not enforce. Rows are counted, never read out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from psycopg2 import sql

from consolidation.postgres.catalog import Column, Table, scan
from consolidation.postgres.queries import query, rows, value
from consolidation.preflight.columns import JSON, SHORTER, verdict
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.models import Lineage, ModelColumn, ModelForeignKey, ModelTable
from consolidation.preflight.side import Check, Side
from consolidation.preflight.types import parse
from consolidation.text import count

SHOWN = 20

# jsonb refuses \u0000 and lone surrogates. Before 16 nothing tests a cast without an error: take escaped backslashes
# and whole surrogate pairs away, then look for what is left.
NOT_JSONB = sql.SQL("NOT pg_input_is_valid({}::text, {})")
NOT_JSONB_BEFORE_16 = sql.SQL(
    r"regexp_replace(regexp_replace(to_json({})::text, '\\\\', ' ', 'g'),"
    r" '\\u[dD][89abAB]..\\u[dD][c-fC-F]..', ' ', 'g') ~ '\\u(0000|[dD][89a-fA-F])'"
)


@dataclass(frozen=True)
class Fault:
    """What no row may be."""

    kind: str
    otherwise: str | None
    """Kind of the finding where no row is so."""
    subject: str
    what: str
    test: sql.Composable
    way: str
    """How to go on without touching a row."""
    change: sql.Composable
    """Statement that changes the rows when the test is appended as its condition."""


def checks(source: Side, lineage: Lineage) -> Iterator[Check]:
    """Checks of the rows of every table that the lineage has."""
    for table in source.tables:
        model = lineage.tables.get(table.name)
        if model is None:
            continue
        names = {column.name for column in table.columns}
        if faults := tuple(_faults(source, table, model)):
            yield Check(f"the rows of {table}", partial(_count, source, table, faults))
        for fault in _violations(source, table, model):
            yield Check(f"the rows of {table} against {fault.subject}", partial(_count, source, table, (fault,)))
        for columns, is_primary in _new_keys(source, table, model):
            yield Check(f"duplicates in {table}", partial(_duplicates, source, table, columns, is_primary))
        for key in model.foreign_keys:
            if set(key.columns) <= names:
                yield Check(f"orphans in {table}", partial(_orphans, source, table, key, lineage.name))


def _faults(source: Side, table: Table, model: ModelTable) -> Iterator[Fault]:
    for column in table.stored_columns:
        theirs = model.columns.get(column.name)
        if theirs is None:
            continue
        if theirs.not_null and not column.not_null:
            yield _null(table, column)
        found_out = verdict(parse(column.type), theirs.type)
        if found_out == SHORTER:
            yield _too_long(table, column, theirs)
        if found_out == JSON and theirs.type.base.startswith("jsonb"):
            yield _not_jsonb(source, table, column, theirs)


def _null(table: Table, column: Column) -> Fault:
    name = sql.Identifier(column.name)
    return Fault(
        "data.null",
        "schema.column.stricter",
        f"{table}.{column.name}",
        "NULL, NOT NULL in the lineage",
        sql.SQL("{} IS NULL").format(name),
        "make the lineage's column nullable",
        sql.SQL("UPDATE {} SET {} = …").format(table.identifier, name),
    )


def _too_long(table: Table, column: Column, model: ModelColumn) -> Fault:
    name, length = sql.Identifier(column.name), sql.Literal(model.type.modifier[0])
    return Fault(
        "data.too_long",
        "schema.column.shorter",
        f"{table}.{column.name}",
        f"longer than {model.type}, the lineage's type",
        sql.SQL("char_length({}) > {}").format(name, length),
        "make the lineage's column longer",
        sql.SQL("UPDATE {} SET {} = left({}, {})").format(table.identifier, name, name, length),
    )


def _not_jsonb(source: Side, table: Table, column: Column, model: ModelColumn) -> Fault:
    name = sql.Identifier(column.name)
    new = NOT_JSONB.format(name, sql.Literal(model.type.base))
    return Fault(
        "data.not_jsonb",
        None,
        f"{table}.{column.name}",
        "json that jsonb refuses (\\u0000, a lone surrogate, a number out of range)",
        new if source.major >= 16 else NOT_JSONB_BEFORE_16.format(name),
        "keep json in the lineage's column",
        sql.SQL(r"UPDATE {} SET {} = replace({}::text, '\u0000', '')::json").format(table.identifier, name, name),
    )


def _violations(source: Side, table: Table, model: ModelTable) -> Iterator[Fault]:
    """CHECK constraints that only the lineage has, or that the source has not validated."""
    statement = "SELECT conname FROM pg_constraint WHERE conrelid = %s AND contype = 'c' AND convalidated"
    enforced = {name for (name,) in rows(source.conn, statement, [table.oid])}
    source.conn.rollback()
    for name, expression in model.checks.items():
        if name not in enforced:
            # The expression comes from our own models. NULL satisfies a CHECK constraint.
            yield Fault(
                "data.check_violated",
                "schema.check.stricter",
                f"{table}.{name}",
                f"against the lineage's CHECK ({expression})",
                sql.SQL("NOT ({})").format(sql.SQL(expression)),
                "leave the constraint to a later revision",
                sql.SQL("UPDATE {} SET …").format(table.identifier),
            )


def _count(source: Side, table: Table, faults: tuple[Fault, ...]) -> Iterator[Finding]:
    counts = sql.SQL(", ").join([sql.SQL("count(*) FILTER (WHERE {})").format(fault.test) for fault in faults])
    [numbers] = rows(source.conn, sql.SQL("SELECT {} FROM {}").format(counts, scan(table)))
    for fault, number in zip(faults, numbers, strict=True):
        if number:
            see = source.paste("SELECT {} FROM {} WHERE {} LIMIT {};", _key(table), scan(table), fault.test, _shown())
            change = source.paste("{} WHERE {};", fault.change, fault.test)
            what = f"{count(number)} row(s) with {fault.what}"
            fix = (
                f"-- {fault.way}, by a revision\n-- see them: {see}\n"
                f"-- or change the values of these {count(number)} row(s), which loses what they are now:\n{change}"
            )
            yield found(fault.kind, fault.subject, what, fix)
        elif fault.otherwise:
            yield found(fault.otherwise, fault.subject, f"no row with {fault.what} today", "nothing to do")


def _new_keys(source: Side, table: Table, model: ModelTable) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Keys of the lineage that the source does not enforce, and whether each is the primary key."""
    names = {column.name for column in table.columns}
    enforced = {frozenset(columns) for (columns,) in rows(source.conn, query("preflight/unique"), {"oid": table.oid})}
    source.conn.rollback()
    for columns in [model.primary_key, *sorted(tuple(sorted(unique)) for unique in model.uniques)]:
        if columns and set(columns) <= names and frozenset(columns) not in enforced:
            yield columns, columns == model.primary_key


def _duplicates(source: Side, table: Table, columns: tuple[str, ...], is_primary: bool) -> Iterator[Finding]:
    names = sql.SQL(", ").join([sql.Identifier(name) for name in columns])
    present = sql.SQL(" AND ").join([sql.SQL("{} IS NOT NULL").format(sql.Identifier(name)) for name in columns])
    # NULLs never collide in a unique key.
    groups = sql.SQL("SELECT {0}, count(*) FROM {1} WHERE {2} GROUP BY {0} HAVING count(*) > 1").format(
        names, scan(table), present
    )
    number = value(source.conn, sql.SQL("SELECT count(*) FROM ({}) AS g").format(groups))
    subject = f"{table} ({', '.join(columns)})"
    if number:
        what = f"{count(number)} key(s) that several rows share; the lineage has them unique"
        fix = (
            "-- leave the key to a later revision, or have the service's owner decide which of the rows is right\n"
            f"-- see them: {source.paste('{} LIMIT {};', groups, _shown())}"
        )
        yield found("data.duplicate", subject, what, fix)
    else:
        kind = "schema.primary_key.added" if is_primary else "schema.unique.stricter"
        yield found(
            kind, subject, "unique in the lineage, not enforced on the source; no duplicate today", "nothing to do"
        )


def _orphans(source: Side, table: Table, key: ModelForeignKey, lineage: str) -> Iterator[Finding]:
    subject = f"{table} ({', '.join(key.columns)})"
    if key.schema != lineage:
        parent = f"{key.schema}.{key.table}" if key.schema else key.table
        what = f"refers to {parent}, which is not of this lineage: whether it will have these rows was not checked"
        fix = f"see before the window that {parent} of the target holds every row that {table} refers to"
        yield found("data.reference_unchecked", subject, what, fix)
        return
    if _enforced(source, table, key):
        return
    parent_table = next((other for other in source.tables if other.name == key.table), None)
    test = _without_parent(key, parent_table)
    number = value(source.conn, sql.SQL("SELECT count(*) FROM {} c WHERE {}").format(scan(table), test))
    if not number:
        what = f"the lineage has a foreign key to {key.table}, the source does not enforce it; no orphan today"
        yield found("schema.foreign_key.stricter", subject, what, "nothing to do")
    elif parent_table is None:
        what = f"{count(number)} row(s) refer to {key.table}, which is not among the tables to migrate"
        fix = f"add {key.table} to consolidation_database.tables, or leave the foreign key to a later revision"
        yield found("data.orphan", subject, what, fix)
    else:
        what = f"{count(number)} row(s) refer to a row of {key.table} that does not exist"
        see = source.paste("SELECT {} FROM {} c WHERE {} LIMIT {};", _key(table, "c"), scan(table), test, _shown())
        delete = source.paste("DELETE FROM {} c WHERE {};", scan(table), test)
        fix = (
            f"-- correct the references, or leave the key to a later revision of the lineage\n-- see them: {see}\n"
            f"-- or give up these {count(number)} row(s), which loses them:\n{delete}"
        )
        yield found("data.orphan", subject, what, fix)


def _without_parent(key: ModelForeignKey, parent: Table | None) -> sql.Composable:
    """Condition of the rows, as ``c``, that the key would refuse."""
    columns = [sql.SQL("c.{}").format(sql.Identifier(name)) for name in key.columns]
    present = sql.SQL(" AND ").join([sql.SQL("{} IS NOT NULL").format(column) for column in columns])
    test = present
    if parent is not None:
        equal = [
            sql.SQL("p.{} = {}").format(sql.Identifier(there), here)
            for here, there in zip(columns, key.referenced, strict=True)
        ]
        met = sql.SQL("NOT EXISTS (SELECT FROM {} p WHERE {})").format(scan(parent), sql.SQL(" AND ").join(equal))
        test = sql.SQL(" AND ").join([present, met])
    if key.is_full and len(columns) > 1:
        some = sql.SQL(" OR ").join([sql.SQL("{} IS NOT NULL").format(column) for column in columns])
        test = sql.SQL("({}) AND NOT ({}) OR ({})").format(some, present, test)
    return test


def _enforced(source: Side, table: Table, key: ModelForeignKey) -> bool:
    """Whether a validated key of the source is the same: then its server has looked at every row, whatever it asks."""
    found_keys = rows(source.conn, query("preflight/validated_foreign_keys"), {"oid": table.oid})
    ours = source.schema, key.table, sorted(zip(key.columns, key.referenced, strict=True))
    return any(
        ours == (schema, parent, sorted(zip(columns, referenced, strict=True))) and (is_full or not key.is_full)
        for schema, parent, columns, referenced, is_full in found_keys
    )


def _key(table: Table, alias: str | None = None) -> sql.Composable:
    """What names a row: its primary key, else where it is."""
    names = table.primary_key or ("ctid",)
    return sql.SQL(", ").join([sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in names])


def _shown() -> sql.Composable:
    return sql.Literal(SHOWN)
