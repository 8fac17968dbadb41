"""What is left of a source, and the statements that retire it and drop it.

Known by its identity (oid), not by its name: a database or a table that has got that name since is never touched.
What is to be done is read from the catalog, so a step that was done, by us or by a superuser, is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.backup.databases import fitted
from consolidation.borders import Json
from consolidation.fence import state as fence
from consolidation.model import Database
from consolidation.postgres.catalog import LEFT_BEHIND
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, query, rows, value

DATABASE, TABLES, MOVED = "database", "tables", "moved"
"""A database of its own; tables of one that others use as well; what a move has left in the schema it came from."""


@dataclass(frozen=True)
class Step:
    """A statement that is still to be done."""

    statement: str
    allowed: bool
    """Whether the runbook's role may; else a superuser must."""


@dataclass(frozen=True)
class Remains:
    """What is left of the source of a run."""

    kind: str
    oid: int
    """Of the database."""
    dbname: str
    suffix: str
    """What a name gets when it is retired."""
    tables: tuple[tuple[int, str], ...] = ()
    """oid and name of each table; those of a whole database are not named."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From the journal."""
        return cls(**{**values, "tables": tuple((oid, name) for oid, name in values["tables"])})

    def as_result(self) -> Json:
        """For the journal."""
        return asdict(self)

    @property
    def retired_as(self) -> str:
        """The retired database's name."""
        return fitted(f"{self.dbname}{self.suffix}")

    def place(self, source: Settings, maintenance_dbname: str) -> Settings:
        """Where its statements are executed: no database can be renamed from within."""
        return replace(source, dbname=maintenance_dbname) if self.kind == DATABASE else source

    def words(self) -> str:
        """For people."""
        names = ", ".join(name for _, name in self.tables)
        match self.kind:
            case "database":
                return f"database {self.dbname}"
            case "tables":
                return f"tables {names} of database {self.dbname}, which others use as well"
            case _:
                return f"tables {names}, which the move has left behind" if names else "nothing, its tables were moved"


def read(database: Database, run_id: str) -> Remains:
    """What is left of the source as it is now."""
    with session(database.source, "finalize plan") as conn:
        oid = int(value(conn, "SELECT oid::bigint FROM pg_database WHERE datname = current_database()"))
        ours = fence.read(conn, database.source_side) if database.strategy.two_copies else ()
        parameters = {"schema": database.source_schema, "left_behind": sorted(LEFT_BEHIND)}
        others = rows(conn, query("finalize/others"), {**parameters, "ours": [table.oid for table in ours]})
        remains = Remains(DATABASE, oid, database.source.dbname, f"_retired_{run_id.lower()}")
        if not database.strategy.two_copies:
            return replace(remains, kind=MOVED, tables=_left_behind(conn, database.source_schema, others))
        tables = tuple((table.oid, f"{table.schema}.{table.name}") for table in ours)
        return replace(remains, kind=TABLES, tables=tables) if others else remains


def _left_behind(conn: Connection, schema: str, others: Sequence[tuple[str, str]]) -> tuple[tuple[int, str], ...]:
    """Tables that a move leaves behind; none while other tables of the schema may still be theirs."""
    if any(theirs == schema for theirs, _ in others):
        return ()
    statement = (
        "SELECT c.oid::bigint, format('%%I.%%I', n.nspname, c.relname)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = ANY (%s) AND c.relkind = 'r'"
    )
    return tuple((oid, name) for oid, name in rows(conn, statement, [schema, sorted(LEFT_BEHIND)]))


def to_retire(conn: Connection, remains: Remains) -> tuple[Step, ...]:
    """What is still to be done until no one takes it for the service's database; ``conn``: a session at ``place``."""
    if remains.kind == DATABASE:
        return _retire_database(conn, remains)
    if remains.kind == TABLES:
        return ()  # they stay where they are, behind their fence
    return tuple(
        Step(
            _text(conn, "ALTER TABLE {} RENAME TO {}", _of(table), sql.Identifier(table["name"] + remains.suffix)),
            table["owned"],
        )
        for table in _tables(conn, remains)
        if not table["name"].endswith(remains.suffix)
    )


def to_drop(conn: Connection, remains: Remains) -> tuple[Step, ...]:
    """The same until it is gone."""
    if remains.kind == DATABASE:
        return tuple(
            Step(_text(conn, "DROP DATABASE {}", sql.Identifier(found["name"])), found["owned"])
            for found in dicts(conn, query("finalize/database"), {"oid": remains.oid})
        )
    found = _tables(conn, remains)
    if not found:
        return ()
    # RESTRICT: a view or a foreign key of others is no reason to take it away.
    names = sql.SQL(", ").join(_of(table) for table in found)
    return (Step(_text(conn, "DROP TABLE {}", names), all(table["owned"] for table in found)),)


def is_open(conn: Connection, remains: Remains) -> bool:
    """Whether a database still takes connections."""
    found = dicts(conn, query("finalize/database"), {"oid": remains.oid})
    return remains.kind == DATABASE and bool(found and found[0]["open"])


def _retire_database(conn: Connection, remains: Remains) -> tuple[Step, ...]:
    steps = []
    for found in dicts(conn, query("finalize/database"), {"oid": remains.oid}):
        name = sql.Identifier(found["name"])
        if found["open"]:
            steps.append(Step(_text(conn, "ALTER DATABASE {} ALLOW_CONNECTIONS false", name), found["owned"]))
        if found["name"] == remains.dbname:
            retired = sql.Identifier(remains.retired_as)
            allowed = found["owned"] and found["may_rename"]
            steps.append(Step(_text(conn, "ALTER DATABASE {} RENAME TO {}", name, retired), allowed))
    return tuple(steps)


def _tables(conn: Connection, remains: Remains) -> list[Json]:
    return dicts(conn, query("finalize/tables"), {"oids": [oid for oid, _ in remains.tables]})


def _of(table: Mapping[str, Any]) -> sql.Identifier:
    return sql.Identifier(table["schema"], table["name"])


def _text(conn: Connection, statement: str, *names: sql.Composable) -> str:
    return sql.SQL(statement).format(*names).as_string(conn)
