"""Checks of the source's tables against the lineage, column by column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from consolidation.lineage.defaults import plain
from consolidation.postgres.catalog import Column, Table
from consolidation.postgres.queries import query, rows
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.models import CLIENT_SIDE, Lineage, ModelColumn, ModelTable, default_text
from consolidation.preflight.objects import ACCEPT
from consolidation.preflight.side import Check, Side
from consolidation.preflight.types import UNKNOWN, Type, parse

# Types as the copy and the verification know them to hold the same values; later ones hold more.
STRINGS = ("character varying", "text")
INTEGERS = ("smallint", "integer", "bigint")
JSONS = ({"json", "jsonb"}, {"json[]", "jsonb[]"})
CAST = re.compile(r"::\w+( varying| precision| with(out)? time zone)?(\(\d+(,\s*\d+)?\))?(\[\])?")
# Their values are object ids, printed as names and resolved again on the target; regrole and regnamespace too.
OBJECT_IDENTIFIER = re.compile(r"reg[a-z]+(\[\])*")
# Another length pads or cuts every value.
PADDED = ("character", "bit")

SAME, JSON, WIDER, SHORTER, DIFFERENT = "same", "json", "wider", "shorter", "different"


def checks(source: Side, lineage: Lineage) -> Iterator[Check]:
    """Checks of the tables and columns."""
    yield Check("the tables against the lineage", lambda: _tables(source, lineage))
    for table in source.tables:
        if model := lineage.tables.get(table.name):
            yield Check(f"the columns of {table}", partial(_columns, table, model))
    yield Check("the labels of enums", lambda: _enums(source, lineage))


def verdict(here: Type, there: Type) -> str:
    """What becomes of values of type ``here`` in a column of type ``there``."""
    if here == there:
        return SAME
    if {here.base, there.base} in JSONS:
        return JSON
    if here.base in STRINGS and there.base in STRINGS:
        return WIDER if not there.modifier or (here.modifier and here.modifier <= there.modifier) else SHORTER
    return WIDER if _holds(here, there) else DIFFERENT


def _holds(here: Type, there: Type) -> bool:
    """Whether a type holds every value of another without a change."""
    if here.base in INTEGERS and there.base in INTEGERS:
        return INTEGERS.index(here.base) <= INTEGERS.index(there.base)
    if here.base != there.base or here.base in PADDED:
        return False
    if not (here.modifier and there.modifier):
        return not there.modifier
    if here.base.removesuffix("[]") != "numeric":
        return here.modifier <= there.modifier
    (digits, scale), (more_digits, more_scale) = ((*kind.modifier, 0)[:2] for kind in (here, there))
    # More decimals would print every value differently.
    return scale == more_scale and digits <= more_digits


def _tables(source: Side, lineage: Lineage) -> Iterator[Finding]:
    present = {table.name for table in source.tables}
    for table in source.tables:
        if table.name not in lineage.tables:
            what = f"lineage {lineage.name} has no table {table.name}: its rows would not be migrated"
            fix = (
                f"add it to the models and a revision of alembic/versions/{lineage.name},\n"
                "or list the tables to migrate in consolidation_database.tables without it"
            )
            yield found("schema.table.extra", str(table), what, fix)
    partitions = {name for (name,) in rows(source.conn, query("preflight/partitions"), {"schema": source.schema})}
    for name in sorted(lineage.tables.keys() - present - partitions):
        what = f"table {name} of lineage {lineage.name} is not among the source's tables: it stays empty"
        fix = "nothing to do if it is new; else correct consolidation_database.tables or .source_schema"
        yield found("schema.table.missing", f"{source.schema}.{name}", what, fix)


def _columns(table: Table, model: ModelTable) -> Iterator[Finding]:
    ours = {column.name: column for column in table.columns}
    for name in sorted(ours.keys() - model.columns.keys()):
        what = f"{ours[name].type}; the lineage has no such column: its values would be lost"
        fix = "add it to the models and a revision of the lineage, or drop it on the source once no one needs it"
        yield found("schema.column.extra", f"{table}.{name}", what, fix)
    for name in sorted(model.columns.keys() - ours.keys()):
        what = f"{model.columns[name].type} in the lineage; the source has no such column"
        fix = "upgrade the source service to the release that has it, or leave the column to a later revision"
        yield found("schema.column.missing", f"{table}.{name}", what, fix)
    for name in sorted(ours.keys() & model.columns.keys()):
        yield from _column(f"{table}.{name}", ours[name], model.columns[name])


def _column(subject: str, ours: Column, model: ModelColumn) -> Iterator[Finding]:
    yield from _type(subject, ours, model)
    yield from _generation(subject, ours, model)
    if OBJECT_IDENTIFIER.fullmatch(ours.type):
        yield _object_identifier(subject, ours)
    if ours.not_null and not model.not_null:
        what = "NOT NULL on the source, nullable in the lineage"
        yield found("schema.column.looser", subject, what, "nothing to do")
    if ours.collation and ours.collation != model.collation:
        what = f"collation {ours.collation} on the source, {model.collation or 'the default'} in the lineage"
        fix = "give the lineage's column the collation, or check the queries that sort by it"
        yield found("schema.column.collation", subject, what, fix)


def _object_identifier(subject: str, ours: Column) -> Finding:
    kind = "schema.column.object_identifier"
    what = f"{ours.type}: its values name objects of the source's database, the copy would stop at one the target lacks"
    fix = f"store the names as text, or accept it where all are PostgreSQL's own: {ACCEPT}: ['{kind} {subject}']"
    return found(kind, subject, what, fix)


def _type(subject: str, ours: Column, model: ModelColumn) -> Iterator[Finding]:
    if model.type == UNKNOWN:
        what = f"{ours.type} on the source; the models give it a type that PostgreSQL cannot read, or none (NullType)"
        fix = "give it its type; one that SQLAlchemy lacks is a UserDefinedType whose get_col_spec() spells it"
        yield found("schema.column.no_type", subject, what, fix)
        return
    pair = f"{ours.type} on the source, {model.type} in the lineage"
    match verdict(parse(ours.type), model.type):
        case "json":
            what = f"{pair}: converted; the spelling, the key order and repeated keys of json are not kept"
            yield found("schema.column.json_converted", subject, what, "nothing to do if the services read it as JSON")
        case "wider":
            yield found("schema.column.widened", subject, pair, "nothing to do")
        case "different":
            fix = "change the lineage's column to the source's type, or convert the source's column first"
            yield found("schema.column.type", subject, pair, fix)
        # A shorter string type is a matter of the data: see data.py.


def _generation(subject: str, ours: Column, model: ModelColumn) -> Iterator[Finding]:
    numbering = _numbering(ours)
    if bool(ours.generated) != bool(model.generated):
        where = ("source", "lineage") if ours.generated else ("lineage", "source")
        what = f"generated in the {where[0]}, an ordinary column in the {where[1]}"
        yield found("schema.column.generated", subject, what, "make it the same on both sides by a revision")
    elif ours.generated and _bare(ours.default) != _bare(model.generated):
        what = f"generated as {ours.default} on the source, as {model.generated} in the lineage"
        yield found(
            "schema.column.expression",
            subject,
            what,
            "compare the two expressions; verification shows whether they differ",
        )
    elif numbering and not model.numbering:
        what = f"{numbering} on the source; the lineage gives new rows no number"
        fix = "give the lineage's column an identity: sa.Identity() in the models and a revision"
        yield found("schema.column.unnumbered", subject, what, fix)
    elif numbering != model.numbering != CLIENT_SIDE:
        what = f"{numbering or 'no numbering'} on the source, {model.numbering} in the lineage"
        yield found(
            "schema.column.numbering", subject, what, "nothing to do: the sequence goes on after the last value"
        )
    elif not ours.generated and not numbering and not _same_default(default_text(ours.default), model.default):
        what = f"default {ours.default or 'none'} on the source, {model.default or 'none'} in the lineage"
        yield found("schema.column.default", subject, what, "nothing to do if the services give the value themselves")


def _numbering(column: Column) -> str:
    if column.identity:
        return "identity always" if column.identity == "a" else "identity by default"
    return "serial" if (column.default or "").startswith("nextval(") else ""


def _same_default(ours: str | None, theirs: str | None) -> bool:
    return ours == theirs or (ours is not None and theirs is not None and plain(ours) == plain(theirs))


def _bare(expression: str | None) -> str:
    """An expression without what pg_get_expr adds or leaves out freely."""
    return re.sub(r"[()\s]", "", CAST.sub("", (expression or "").lower()))


def _enums(source: Side, lineage: Lineage) -> Iterator[Finding]:
    parameters = {"schema": source.schema, "oids": [table.oid for table in source.tables]}
    for schema, name, labels in rows(source.conn, query("preflight/enums"), parameters):
        lacking = [label for label in labels if label not in lineage.enums.get(name, labels)]
        if lacking:
            what = f"enum {name}: the lineage lacks the labels {', '.join(lacking)}"
            fix = f"add them by a revision of alembic/versions/{lineage.name}: ALTER TYPE … ADD VALUE"
            yield found("schema.enum.labels", f"{schema}.{name}", what, fix)
