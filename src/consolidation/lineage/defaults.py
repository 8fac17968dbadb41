"""Defaults of the models compared with the database's: Alembic's own comparison fails on identities, calls every
sequence a difference, and asks the server for equality where a type has none."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import AlterColumnOp
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import Column, Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from consolidation.postgres.queries import query

PLUGINS = ("alembic.autogenerate.*", "consolidation.defaults")
"""Alembic's option ``autogenerate_plugins``."""

# Types as pg_get_expr prints them after ``::``. Quoted text stands first: what is in it is left alone.
_QUOTED = r"'(?:[^']|'')*'"
_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_CAST = (
    rf"::\s*(?:{_NAME}\.)?{_NAME}(?:\s+varying|\s+precision)?(?:\([\d,\s]*\))?(?:\s+with(?:out)? time zone)?(?:\[\])*"
)
_ADDED = re.compile(rf"({_QUOTED})|{_CAST}|{_NAME}\.(?=[\w\"])|(\s+)")
NEXTVAL = re.compile(r"\(*nextval\('((?:[^']|'')*)'(?:::text)?(?:::regclass)?\)+", re.IGNORECASE)


def plain(expression: str) -> str:
    """An expression without what PostgreSQL adds when it prints one: casts, schemas' names, spaces, parentheses."""
    text = _ADDED.sub(lambda match: match.group(1) or "", expression.strip())
    while text.startswith("(") and text.endswith(")") and _is_one_group(text):
        text = text[1:-1]
    return text


def _is_one_group(text: str) -> bool:
    depth = 0
    for place, character in enumerate(re.sub(_QUOTED, lambda match: "x" * len(match.group()), text)):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place == len(text) - 1
    return False


def sequence_of(column: Column[Any]) -> str | None:
    """Name of the sequence, without its schema, that a model gives new rows numbers from; whatever the spelling."""
    if isinstance(column.default, sa.Sequence):
        return column.default.name
    match = NEXTVAL.fullmatch((default_of(column) or "").strip())
    return None if match is None else match.group(1).replace("''", "'").split(".")[-1].strip('"')


def is_client_side(column: Column[Any]) -> bool:
    """Whether SQLAlchemy takes the numbers from the sequence: then the table may have a default of its own, or none."""
    return isinstance(column.default, sa.Sequence) and column.server_default is None


def default_of(column: Column[Any]) -> str | None:
    """SQL of a model's default; None where it has none, or is an identity or generated."""
    default = column.server_default
    if not isinstance(default, sa.DefaultClause):
        return None
    if isinstance(default.arg, str):
        return "'" + default.arg.replace("'", "''") + "'"
    # "named": % is not doubled.
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    text = str(default.arg.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return None if text.upper() == "NULL" else text  # the server keeps none


def _compare(  # noqa: PLR0913, PLR0917 - Alembic calls it so
    context: AutogenContext,
    operation: AlterColumnOp,
    schema: str | None,
    table: str,
    name: str,
    inspected: Column[Any],
    model: Column[Any],
) -> PriorityDispatchResult:
    ours, theirs = inspected.server_default, model.server_default
    if isinstance(ours, sa.Identity) or isinstance(theirs, sa.Identity):
        if not isinstance(ours, sa.DefaultClause | sa.Computed) and not isinstance(
            theirs, sa.DefaultClause | sa.Computed
        ):
            return PriorityDispatchResult.CONTINUE  # Alembic compares the two identities
        equal = False
    elif isinstance(ours, sa.Computed) or isinstance(theirs, sa.Computed):
        equal = type(ours) is type(theirs)  # the expressions are preflight's matter, and the verification's
    else:
        assert context.connection is not None  # noqa: S101 - narrows the type for mypy; a comparison has one
        equal = _same_default(context.connection, (schema, table, name), ours, model)
    if not equal:
        operation.existing_server_default = ours
        operation.modify_server_default = theirs
    return PriorityDispatchResult.STOP


def _same_default(conn: Connection, place: tuple[str | None, str, str], inspected: Any, model: Column[Any]) -> bool:
    if (wanted := sequence_of(model)) is not None:
        found = conn.exec_driver_sql(
            query("lineage/default_sequence"), dict(zip(("schema", "table", "name"), place, strict=True))
        ).scalar()
        return found == wanted or (found is None and inspected is None and is_client_side(model))
    ours, theirs = inspected and str(inspected.arg.text), default_of(model)
    if ours is None or theirs is None:
        # A plain integer key is made a serial: its default has been left out of what was inspected.
        serial = theirs is None and model is model.table.autoincrement_column
        return (ours is None and theirs is None) or (
            serial and ours is not None and NEXTVAL.fullmatch(ours) is not None
        )
    return plain(ours) == plain(theirs) or _equal_values(conn, ours, theirs)


def _equal_values(conn: Connection, ours: str, theirs: str) -> bool:
    """Whether the server computes the same from both; where a type has no equality, whether it prints the same."""
    for form in ("({}) = ({})", "({})::text = ({})::text"):
        try:
            with conn.begin_nested():
                return conn.exec_driver_sql("SELECT " + form.format(ours, theirs).replace("%", "%%")).scalar() is True
        except DBAPIError:
            continue
    return False


Plugin(PLUGINS[1]).add_autogenerate_comparator(_compare, "column", "server_default", priority=DispatchPriority.FIRST)
