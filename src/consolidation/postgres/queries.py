"""The named SQL files beside this module, and small helpers to run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

Parameters = Mapping[str, Any] | Sequence[Any]
Statement = str | sql.Composable
Row = dict[str, Any]
"""One row of a result by column name."""


@cache
def query(name: str) -> str:
    """The text of ``PACKAGE/sql/NAME.sql`` for ``PACKAGE/NAME``; its header explains its parameters."""
    package, _, statement = name.partition("/")
    return (files("consolidation") / package / "sql" / f"{statement}.sql").read_text(encoding="utf-8")


def rows(conn: Connection, statement: Statement, parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
    """All rows of a small result."""
    with conn.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def dicts(conn: Connection, statement: Statement, parameters: Parameters | None = None) -> list[Row]:
    """All rows of a small result, each by column name."""
    with conn.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def value(conn: Connection, statement: Statement, parameters: Parameters | None = None) -> Any:
    """The single value of a result; None when there is no row."""
    found = rows(conn, statement, parameters)
    return found[0][0] if found else None


def execute(conn: Connection, statement: Statement, parameters: Parameters | None = None) -> int:
    """Run a statement; the number of rows it touched."""
    with conn.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.rowcount
