"""Why a side does not take the other's rows: table, column, constraint, and how many rows.

A bulk load stops at the first row, and names no column where a value does not fit a type. Here the rows are brought
one by one, so that the operator knows all of it at once; names and figures only, no value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.compare.buckets import Pair
from consolidation.copy import surplus
from consolidation.copy.deferred import FOREIGN_KEY, Deferred
from consolidation.copy.stream import stream
from consolidation.errors import StepRefused
from consolidation.model import Database
from consolidation.postgres.catalog import Table, scan
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, execute, query, value
from consolidation.rollback.exchange import Change, ends, set_aside
from consolidation.text import count

JSON_TO_JSONB = {("json", "jsonb"), ("json[]", "jsonb[]")}
ROUNDED = "01004"
"""SQLSTATE of a warning that PostgreSQL does not give: a value that another scale or precision changes."""
NO_PARTITION = "23514"
"""Where no constraint is named."""
REASONS = {
    "23502": "NULL, and the column is NOT NULL",
    "23503": "no row to refer to",
    "23505": "not unique",
    "54000": "a value is longer than an index of the table takes",
}
MODIFIER = re.compile(r"\([\d,]+\)")
CLASSES = ("22", "23", "54", "P0")
"""SQLSTATE classes of errors that rows are to blame for: data, integrity, a value too long for an index, and what a
function of a CHECK raises."""


@dataclass(frozen=True)
class Refusal:
    """Rows of one table that are refused for one reason."""

    table: str
    column: str
    constraint: str
    code: str
    """SQLSTATE."""
    type: str
    """Of the column on the side that refuses."""
    rows: int | None
    """None where they could not be counted."""

    def __str__(self) -> str:
        many = "rows" if self.rows is None else f"{count(self.rows)} row{'' if self.rows == 1 else 's'}"
        where = f"table {self.table}"
        where += f", column {self.column}" if self.column else ""
        where += f", constraint {self.constraint}" if self.constraint else ""
        return f"{where}: {many} ({self._reason}, SQLSTATE {self.code})"

    @property
    def _reason(self) -> str:
        if self.code == ROUNDED:
            return f"type {self.type} would change the value"
        if self.code == NO_PARTITION and not self.constraint:
            return "no partition takes it"
        if self.code.startswith("22"):
            return f"the value does not fit type {self.type}" if self.type else "a value does not fit"
        return REASONS.get(self.code, "violates it" if self.constraint else "refused")


def hint(to: str, closed: Mapping[str, str]) -> str:
    """What to do next; ``closed``: side -> epoch of its fence, empty where it is open."""
    if to == "target":
        return "nothing was changed; make the target's tables take them by a revision of the lineage, then run again"
    # Not: widen the source's column. What alters a closed table ends its fence epoch.
    drop = "drop the constraint or NOT NULL on the source, where it is one"
    if closed["target"]:
        return (
            "nothing was changed, both sides are closed. Open the target again with ansible-playbook"
            f" playbooks/cancel_rollback.yml and change these rows there; or {drop}, and run rollback.yml again"
        )
    return (
        f"nothing was changed. Change these rows on the target, or {drop}; then run again."
        " ansible-playbook rollback.yml --check looks again and changes nothing"
    )


def is_of_rows(error: psycopg2.Error) -> bool:
    """Whether rows are to blame for an error of the exchange."""
    return (error.pgcode or "")[:2] in CLASSES


def refused(
    database: Database,
    origin: Connection,
    destination: Connection,
    changes: Sequence[Change],
    hint: str,
) -> StepRefused:
    """All reasons for which the destination refuses rows of the origin, after an exchange that failed.

    Uses the transaction of ``origin`` and leaves ``destination`` rolled back.
    """
    to = changes[0].to
    return refusing(database, to, _refusals(origin, destination, database.side(to).settings, changes), hint)


def refusing(database: Database, to: str, found: Sequence[Refusal], hint: str) -> StepRefused:
    """The error that names them all."""
    reasons = "; ".join(map(str, found)) or "the server's log says why"
    return StepRefused(
        f"{database.name}: the {to} does not take rows of the other side: {reasons}",
        hint=hint,
        facts={"refusals": [asdict(each) for each in found]},
    )


def json_refused(database: Database, to: str, pairs: Iterable[Pair]) -> tuple[Refusal, ...]:
    """json of the origin that jsonb refuses (an escaped zero byte): the two sides cannot even be compared."""
    origin = database.target if to == "source" else database.source
    found = []
    with session(origin, "rows refused") as conn:
        execute(conn, query("rollback/refused_json"))
        for each in pairs:
            giving, taking = ends(each, to)
            for column in giving.columns:
                there = next((other.type for other in taking.columns if other.name == column.name), "")
                if (column.type, there) not in JSON_TO_JSONB:
                    continue
                statement = "SELECT count(*) FROM {} WHERE NOT pg_temp.consolidation_is_valid({}::text, {})"
                names = (scan(giving), sql.Identifier(column.name), sql.Literal(there))
                if number := value(conn, sql.SQL(statement).format(*names)):
                    found.append(Refusal(str(taking), column.name, "", "22P05", there, number))
        conn.rollback()
    return tuple(found)


def rounded(database: Database, to: str, pairs: Iterable[Pair]) -> tuple[Refusal, ...]:
    """Values of the origin that the destination's scale or precision changes without an error: it never gets equal."""
    origin = database.target if to == "source" else database.source
    found = []
    with session(origin, "rows refused") as conn:
        for each in pairs:
            giving, taking = ends(each, to)
            for column in giving.stored_columns:
                there = next((other.type for other in taking.columns if other.name == column.name), "")
                if column.type == there or MODIFIER.sub("", column.type) != MODIFIER.sub("", there):
                    continue
                statement = "SELECT count(*) FROM {} WHERE {column}::text IS DISTINCT FROM {column}::{type}::text"
                names = {"column": sql.Identifier(column.name), "type": sql.SQL(there)}
                if number := value(conn, sql.SQL(statement).format(scan(giving), **names)):
                    found.append(Refusal(str(taking), column.name, "", ROUNDED, there, number))
    return tuple(found)


def _refusals(
    origin: Connection, destination: Connection, settings: Settings, changes: Sequence[Change]
) -> tuple[Refusal, ...]:
    destination.rollback()
    oids = {"oids": [change.destination.oid for change in changes]}
    orphans = {(row["table_name"], row["name"]): row["statement"] for row in _orphans(destination, oids)}
    try:
        aside = set_aside(destination, settings, changes)
        execute(destination, "SET CONSTRAINTS ALL IMMEDIATE")
        execute(destination, query("rollback/refused_rows"))
        found = tuple(refusal for change in changes for refusal in _of_table(origin, destination, change))
        # A row that is missing because it was refused itself would be missed by its children.
        return found or tuple(_of_foreign_keys(destination, aside, orphans))
    finally:
        destination.rollback()


def _orphans(destination: Connection, oids: dict[str, list[int]]) -> list[dict[str, str]]:
    return dicts(destination, query("rollback/refused_orphans"), oids)


def _of_table(origin: Connection, destination: Connection, change: Change) -> Iterator[Refusal]:
    places = surplus.find(origin, destination, change, change.buckets)
    surplus.remove(destination, change, places)
    table = change.destination
    names = [column.name for column in table.stored_columns]
    if not names:
        stream(origin, destination, surplus.sending(change, places), surplus.receiving(change))
        return
    sent = sql.SQL(", ").join([sql.SQL("{} text").format(sql.Identifier(name)) for name in names])
    shape = sql.SQL(", ").join([sql.Identifier(name) for name in names])
    execute(destination, "DROP TABLE IF EXISTS pg_temp.consolidation_sent, pg_temp.consolidation_shape")
    execute(destination, sql.SQL("CREATE TEMPORARY TABLE consolidation_sent ({})").format(sent))
    execute(
        destination,
        sql.SQL("CREATE TEMPORARY TABLE consolidation_shape AS SELECT {} FROM {} WITH NO DATA").format(
            shape, table.identifier
        ),
    )
    copy_in = surplus.receiving(change, sql.SQL("pg_temp.consolidation_sent"))
    stream(origin, destination, surplus.sending(change, places), copy_in)
    statement = "SELECT * FROM pg_temp.consolidation_refused(%s::oid::regclass, %s)"
    for row in dicts(destination, statement, [table.oid, names]):
        yield Refusal(
            str(table),
            row["column_name"],
            row["constraint_name"],
            row["sqlstate_code"],
            _type(table, row["column_name"]),
            row["refused"],
        )


def _type(table: Table, column: str) -> str:
    return next((each.type for each in table.columns if each.name == column), "")


def _of_foreign_keys(
    destination: Connection, aside: Sequence[Deferred], orphans: dict[tuple[str, str], str]
) -> Iterator[Refusal]:
    for key in aside:
        if key.kind != FOREIGN_KEY:
            continue
        execute(destination, "SAVEPOINT foreign_key")
        try:
            execute(destination, key.create_statement)
        except psycopg2.errors.ForeignKeyViolation as error:
            execute(destination, "ROLLBACK TO foreign_key")
            rows = _count(destination, orphans.get((key.table_name, key.name)))
            yield Refusal(key.table_name, "", key.name, error.pgcode or "", "", rows)


def _count(destination: Connection, statement: str | None) -> int | None:
    if statement is None:
        return None
    try:
        return int(value(destination, statement))
    except psycopg2.Error:
        execute(destination, "ROLLBACK TO foreign_key")
        return None
