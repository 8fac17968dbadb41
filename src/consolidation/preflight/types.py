"""Types, as both sides and the lineage's models are compared by them: in the words of PostgreSQL's format_type."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import CompileError

from consolidation.postgres.queries import Row, dicts, execute, query, value

# "named": % is not doubled.
DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
MODIFIER = re.compile(r"\s*\((\d+)(?:,\s*(-?\d+))?\)")
ARGUMENTS = re.compile(r"\(([^()]*)\)")
COLLATE = re.compile(r' COLLATE "((?:[^"]|"")+)"$')


@dataclass(frozen=True)
class Type:
    """A type without its modifier, and the modifier: ``character varying`` and (255,)."""

    base: str
    modifier: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.base}({','.join(map(str, self.modifier))})" if self.modifier else self.base


UNKNOWN = Type("", ())
"""Of a column whose models give it no type, or one that PostgreSQL cannot read."""


@dataclass(frozen=True)
class Spelling:
    """A model's type as DDL would have it."""

    text: str
    """Empty where there is none."""
    collation: str | None


def parse(text: str) -> Type:
    """``timestamp(3) with time zone`` -> (``timestamp with time zone``, (3,)). A quoted name is left alone."""
    match = None if '"' in text else MODIFIER.search(text)
    if match is None:
        return Type(text, ())
    return Type(text[: match.start()] + text[match.end() :], tuple(int(part) for part in match.groups() if part))


def spell(column: sa.Column[Any]) -> Spelling:
    """The type of a model's column, and its collation apart: the server reads no type with one."""
    try:
        text = column.type.compile(dialect=DIALECT)
    except CompileError:
        return Spelling("", None)
    match = COLLATE.search(text)
    return Spelling(COLLATE.sub("", text), match.group(1).replace('""', '"') if match else None)


def read(conn: Connection, words: Iterable[str], schema: str) -> dict[str, Type]:
    """The types that the words of the models mean to this server; those it does not have are taken as they are spelt.

    schema: of the lineage, whose own types have counterparts without its name. Words may name an extension's types with
    or without the schema that it is in; ``UNKNOWN`` are those that no server could read.
    """
    # Until the end of the transaction. What pg_catalog has comes first.
    execute(conn, query("preflight/extension_path"))
    return {word: _read(conn, word, schema) for word in words}


def _read(conn: Connection, word: str, schema: str) -> Type:
    if not word:
        return UNKNOWN
    try:
        found = _described(conn, word)
    except psycopg2.Error:
        execute(conn, "ROLLBACK TO SAVEPOINT reading")
        return UNKNOWN
    if found is None:
        return parse(word.replace(f"{schema}.", ""))
    arguments = ARGUMENTS.search(word)
    if found["modifier_function"] and arguments and not found["built_in"]:
        return parse(_modified(conn, found, arguments.group(1)))
    if found["name"] == "interval":
        return parse(" ".join(word.lower().split()).replace(" (", "("))
    # float(24) is real: its number is no modifier.
    return Type(found["name"], () if found["name"] in ("real", "double precision") else parse(word).modifier)


def _described(conn: Connection, word: str) -> Row | None:
    execute(conn, "SAVEPOINT reading")
    found = dicts(conn, query("preflight/type"), {"word": word})
    return found[0] if found else None


def _modified(conn: Connection, found: Row, arguments: str) -> str:
    """With the modifier as the type's own function prints it: ``geometry(POINT,4326)`` is ``geometry(Point,4326)``."""
    statement = sql.SQL("SELECT format_type(%s, {}(%s::cstring[]))").format(sql.SQL(found["modifier_function"]))
    try:
        text: str = value(conn, statement, [found["oid"], "{" + arguments + "}"])
    except psycopg2.Error:
        execute(conn, "ROLLBACK TO SAVEPOINT reading")
        return f"{found['name']}({arguments})"
    return text.removeprefix(found["qualifier"])
