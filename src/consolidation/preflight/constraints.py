"""Checks of the source's keys, constraints and indexes against the lineage's."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.postgres.catalog import Table
from consolidation.postgres.queries import Row, dicts, query
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.models import Lineage, ModelTable
from consolidation.preflight.objects import ACCEPT, decision
from consolidation.preflight.side import Check, Side


def checks(source: Side, lineage: Lineage, *, copies: bool) -> Iterator[Check]:
    """Checks of what the source guarantees and the lineage must guarantee too; for a move, the reverse as well."""
    pairs = {table.oid: (table, lineage.tables[table.name]) for table in source.tables if table.name in lineage.tables}
    yield Check("primary keys", lambda: _primary_keys(pairs))
    yield Check("indexes and unique constraints", lambda: _indexes(source, pairs, lineage.name))
    if not copies:
        yield Check("the lineage's indexes", lambda: _missing_indexes(source, pairs))
    yield Check("foreign keys", lambda: _foreign_keys(source, pairs, lineage.name))


Pairs = dict[int, tuple[Table, ModelTable]]


def _primary_keys(pairs: Pairs) -> Iterator[Finding]:
    for table, model in pairs.values():
        # A key that only the lineage has is a matter of the data: see data.py.
        if table.primary_key and set(table.primary_key) != set(model.primary_key):
            theirs = ", ".join(model.primary_key) or "none"
            what = f"primary key ({', '.join(table.primary_key)}) on the source, ({theirs}) in the lineage"
            yield found("schema.primary_key.differs", str(table), what, "make it the same by a revision of the lineage")


def _indexes(source: Side, pairs: Pairs, lineage: str) -> Iterator[Finding]:
    for row in dicts(source.conn, query("preflight/indexes"), _oids(pairs)):
        table, model = pairs[row["table_oid"]]
        subject, columns = f"{table.schema}.{row['name']}", tuple(row["columns"] or ())
        if row["name"] in model.index_names:
            continue
        if row["is_unique"] and frozenset(columns) not in model.uniques | {frozenset(model.primary_key)}:
            fix = (
                f"add it to the models and a revision of alembic/versions/{lineage},\n"
                f"or accept that it is lost: {ACCEPT}: ['schema.unique.extra {subject}']"
            )
            what = f"unique on the source, not in the lineage: {row['definition']}"
            yield found("schema.unique.extra", subject, what, fix)
        elif not row["is_unique"] and columns not in model.indexes:
            kind = "source.object.index"
            what = f"not in the lineage: {row['definition']}"
            yield found(kind, subject, what, decision(kind, subject, lineage))


def _missing_indexes(source: Side, pairs: Pairs) -> Iterator[Finding]:
    present = {(row["table_oid"], row["name"]) for row in dicts(source.conn, query("preflight/indexes"), _oids(pairs))}
    for oid, (table, model) in pairs.items():
        for name in sorted(name for name in model.index_names if (oid, name) not in present):
            what = "the lineage has this index, the table to move lacks it"
            fix = source.paste("CREATE INDEX {} ON {} (…);   -- as in the lineage", name, table.identifier)
            yield found("schema.move.differs", f"{table.schema}.{name}", what, fix)


def _oids(pairs: Pairs) -> dict[str, list[int]]:
    return {"oids": list(pairs)}


def _foreign_keys(source: Side, pairs: Pairs, lineage: str) -> Iterator[Finding]:
    for row in dicts(source.conn, query("preflight/constraints"), _oids(pairs)):
        table, model = pairs[row["table_oid"]]
        yield from _foreign_key(f"{table}.{row['name']}", row, model, lineage)


def _foreign_key(subject: str, row: Row, model: ModelTable, lineage: str) -> Iterator[Finding]:
    ends = tuple(row["columns"]), row["referenced_table"], tuple(row["referenced_columns"])
    twins = [key for key in model.foreign_keys if (key.columns, key.table, key.referenced) == ends]
    if not twins:
        fix = (
            f"add it to the models and a revision of alembic/versions/{lineage},\n"
            f"or accept that it is lost: {ACCEPT}: ['schema.foreign_key.extra {subject}']"
        )
        what = f"not in the lineage: {row['definition']}"
        yield found("schema.foreign_key.extra", subject, what, fix)
    elif twins[0].actions != (row["on_update"], row["on_delete"], row["deferrable"]):
        what = f"ON UPDATE, ON DELETE or DEFERRABLE differ from the lineage's: {row['definition']}"
        fix = f"make it the same by a revision of alembic/versions/{lineage}, unless the service does not rely on it"
        yield found("schema.foreign_key.action", subject, what, fix)
