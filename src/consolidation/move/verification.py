"""The verification of tables that were moved: there is no second copy, but digests from before the move."""

from __future__ import annotations

from consolidation.compare.digest import Digest, table_digest
from consolidation.compare.result import DIFFERENT, EQUAL, TableResult
from consolidation.journal import state
from consolidation.model import Database
from consolidation.postgres.catalog import read_tables
from consolidation.postgres.connection import session


def compare(database: Database) -> list[TableResult]:
    """The moved tables against the digests taken before they moved, behind the same closed fence."""
    with session(database.target, "verify moved") as conn:
        before = {entry["name"]: entry for entry in state.read(conn, database).copy.tables or ()}
        results = []
        for table in read_tables(conn, database.name):
            entry = before.pop(table.name, None)
            now = table_digest(conn, table)
            then = Digest(entry["rows"], (int(entry["sums"][0]), int(entry["sums"][1]))) if entry else None
            outcome = EQUAL if then == now else DIFFERENT
            results.append(TableResult(table.name, outcome, then, now))
        results += [TableResult(name, DIFFERENT, reason="is gone") for name in before]
    return results
