"""The verifier's test of itself: damage done to a scratch table must be seen, on these very servers."""

from __future__ import annotations

from collections.abc import Callable

import psycopg2.errors
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.compare.buckets import bucket_digests, differing, examine, pair
from consolidation.compare.digest import Digest, comparison, table_digest
from consolidation.compare.row_hash import RowSum, row_sum
from consolidation.copy.chunks import copy_out
from consolidation.errors import StatementFailed, VerificationFailed
from consolidation.model import Database
from consolidation.postgres.catalog import Table, read_tables
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute, query, value

Look = Callable[[Connection, Table], Digest | RowSum]
"""What a method makes of a table."""

HINT = "do not trust any comparison between these two servers; compare their versions, settings and machines"

# What is done to the target's scratch table; its content must then be another one.
DAMAGES = {
    "a lost row": "DELETE FROM consolidation_selftest WHERE id = 2",
    "an extra row": "INSERT INTO consolidation_selftest (id) VALUES (5)",
    "a changed key": "UPDATE consolidation_selftest SET id = 9 WHERE id = 1",
    "values swapped between rows":
        "UPDATE consolidation_selftest SET name = CASE id WHEN 1 THEN 'two' ELSE 'one' END WHERE id < 3",
    "values swapped between columns": "UPDATE consolidation_selftest SET name = label, label = name WHERE id = 1",
    "'' in place of NULL": "UPDATE consolidation_selftest SET name = '' WHERE id = 4",
    "NULL in place of ''": "UPDATE consolidation_selftest SET name = NULL WHERE id = 3",
    "'NULL' in place of NULL": "UPDATE consolidation_selftest SET name = 'NULL' WHERE id = 4",
    "a trailing space": "UPDATE consolidation_selftest SET name = 'one ' WHERE id = 1",
    "another case": "UPDATE consolidation_selftest SET name = 'One' WHERE id = 1",
    "another scale": "UPDATE consolidation_selftest SET amount = 1.00 WHERE id = 1",
    "-0 in place of 0": "UPDATE consolidation_selftest SET ratio = '-0' WHERE id = 1",
    "0 in place of NaN": "UPDATE consolidation_selftest SET ratio = 0 WHERE id = 2",
    "one microsecond": "UPDATE consolidation_selftest SET at = at + interval '1 microsecond' WHERE id = 1",
    "one hour, as a change of clocks would":
        "UPDATE consolidation_selftest SET at = at + interval '1 hour' WHERE id = 2",
    "other spacing in json": """UPDATE consolidation_selftest SET doc = '{"a":1}' WHERE id = 1""",
    "NULL in place of json null": "UPDATE consolidation_selftest SET doc = NULL WHERE id = 3",
    "another byte": r"UPDATE consolidation_selftest SET raw = '\x02' WHERE id = 1",
}  # fmt: skip


def run(database: Database) -> Json:
    """Damage a scratch table in every way and look for it; figures for the evidence. Nothing is kept.

    Raises VerificationFailed where the verifier is not to be trusted, or cannot be tested.
    """
    try:
        with session(database.source, "verifier test") as source, session(database.target, "verifier test") as target:
            unseen = _unseen(source, target)
            source.rollback()
            target.rollback()
    except StatementFailed as error:
        lacks = isinstance(error.__cause__, psycopg2.errors.InsufficientPrivilege)
        raise VerificationFailed(
            f"{database.name}: the verifier could not test itself: {error.message}",
            hint="it needs TEMPORARY on both databases, for a temporary table; then run again" if lacks else error.hint,
        ) from error
    if unseen:
        raise VerificationFailed(
            f"{database.name}: the verifier is not trustworthy here, it did not see: {', '.join(unseen)}", hint=HINT
        )
    return {"damages": len(DAMAGES), "seen": len(DAMAGES)}


def _unseen(source: Connection, target: Connection) -> list[str]:
    """What a method does not see: that the undamaged tables are equal, a damage, the name of the lost row."""
    here, there = _scratch(source), _scratch(target)
    looks = _looks(here, there)
    sound = {method: look(source, here) for method, look in looks.items()}
    unseen = [
        f"that equal tables are equal ({name})" for name, look in looks.items() if look(target, there) != sound[name]
    ]
    execute(target, "SAVEPOINT sound")
    for damage, statement in DAMAGES.items():
        execute(target, f"ROLLBACK TO sound; {statement}")
        unseen += [f"{damage} ({name})" for name, look in looks.items() if look(target, there) == sound[name]]
        if damage == "a lost row" and not _lost_row_is_named(source, target, here, there):
            unseen.append("which row is lost")
    return unseen


def _looks(here: Table, there: Table) -> dict[str, Look]:
    """Every method by which the verify phase may call a table equal; the row hash takes rows in either form."""
    columns, names = comparison(here, there), [column.name for column in here.stored_columns]

    def row_hash(conn: Connection, table: Table, *, is_binary: bool) -> RowSum:
        statement = copy_out(table, names, None, None, is_binary=is_binary)
        return row_sum(conn, statement, is_binary=is_binary)

    return {
        "SQL digest": lambda conn, table: table_digest(conn, table, columns),
        "row hash, binary": lambda conn, table: row_hash(conn, table, is_binary=True),
        "row hash, text": lambda conn, table: row_hash(conn, table, is_binary=False),
    }


def _lost_row_is_named(source: Connection, target: Connection, here: Table, there: Table) -> bool:
    both = pair(here, there)
    buckets = differing(bucket_digests(source, both, here), bucket_digests(target, both, there))
    return examine(source, target, both, buckets, 1).keys["missing"] == [{"id": "2"}]


def _scratch(conn: Connection) -> Table:
    execute(conn, query("verify/selftest"))
    schema = value(conn, "SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()")
    [table] = read_tables(conn, schema, ["consolidation_selftest"])
    return table
