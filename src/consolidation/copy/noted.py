"""A copy of a source that is written meanwhile: what guarantees it, and what a resumed one must take out again.

A worker's chunk is read at the snapshot of its attempt. Between two attempts a row may have moved from a chunk that is
not loaded yet into one that is, or the other way: it is there twice then, or not at all. Its key was noted, so it is
brought again before the keys are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.capture import state as capture
from consolidation.capture.memory import Memory
from consolidation.capture.state import Captured, KeyColumn
from consolidation.copy import chunks
from consolidation.copy.loads import Pairs
from consolidation.copy.stream import stream
from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.journal.phase import Work
from consolidation.model import TARGET, Database
from consolidation.postgres.catalog import Table, scan
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute, value

ANALYZED_KEYS = 1000


@contextmanager
def snapshot(database: Database) -> Iterator[tuple[Connection, str]]:
    """A snapshot of the source for all workers. Its session holds no lock on a table: TRUNCATE and DDL would queue
    behind it, and the application behind them."""
    with session(database.source, "copy snapshot") as source:
        execute(source, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield source, value(source, "SELECT pg_export_snapshot()")


def require_captured(source: Connection, target: Connection, database: Database) -> tuple[Captured, ...]:
    """The source's tables as the copy's snapshot sees them, all of them captured. Raises StepRefused."""
    tables = capture.read(source, database.source_side)
    if wrong := [f"{table.name} ({table.state})" for table in tables if table.state != capture.ON]:
        raise StepRefused(
            f"{database.name}: changes of the source are not noted for {', '.join(wrong)}, they would be lost",
            hint="run the phases in order: the capture comes before the copy",
        )
    if not fence.is_closed(target, database.target_side):
        raise StepRefused(
            f"{database.name}: the target is not fenced, rows could change while they are copied",
            hint="run the phases in order: ansible-playbook migrate.yml closes the target first",
        )
    return tables


def remember(work: Work, tables: tuple[Captured, ...]) -> None:
    """The marks before the first row is read: what changes a table later than these is noted, or changes its mark."""
    memory = Memory(work.journal, work.run, TARGET)
    known = memory.marks()
    memory.remember({table.name: table.mark for table in tables if table.name not in known}, 0, 0, 0)


def bring_up(database: Database, work: Work, tables: Pairs, *, resumed: bool) -> tuple[str, ...]:
    """Bring the target to one later snapshot of the source, before its keys are made again; the tables brought.

    Needed where chunks were read at several snapshots, or a table was truncated or rewritten meanwhile: the rows of
    noted keys, and such tables whole. What is loaded is consistent then. The log stays as it is, the rounds come later.
    """
    brought = []
    memory = Memory(work.journal, work.run, TARGET)
    with session(database.source, "copy noted") as source, session(database.target, "copy noted") as target:
        source.set_session(isolation_level="REPEATABLE READ")
        captured = {table.name: table for table in capture.read(source, database.source_side)}
        remembered = memory.marks()
        rewritten = {name for name, table in captured.items() if remembered.get(name) != table.mark}
        if not (resumed or rewritten):
            return ()
        logged = capture.with_entries(source, list(captured.values()))
        keyed = {table.name: table.key for table in capture.read(target, database.target_side)}
        fence.pass_through(target)
        whole = {name for name in rewritten | logged if name in rewritten or not captured[name].key}
        memory.forget(rewritten)  # nothing is known of them but by comparison
        for here, there in tables:
            if here.name in whole:
                execute(target, sql.SQL("TRUNCATE {}").format(there.identifier))
                _copy(source, target, here, there, None)
            elif here.name in logged:
                # The lineage's key may be dropped for the load: then the source's operators are those of its index.
                log = captured[here.name]
                _delete(source, target, there, log, keyed.get(here.name) or log.key)
                _copy(source, target, here, there, log)
            else:
                continue
            brought.append(here.name)
    return tuple(brought)


def _delete(source: Connection, target: Connection, there: Table, log: Captured, key: tuple[KeyColumn, ...]) -> None:
    keys = sql.Identifier("pg_temp", f"consolidation_keys_{there.oid}")
    send_keys(source, target, log, keys, there.identifier)
    statement = sql.SQL("DELETE FROM {} AS t USING {} AS k WHERE {}").format(scan(there), keys, capture.matched(key))
    execute(target, statement)


def _copy(source: Connection, target: Connection, here: Table, there: Table, log: Captured | None) -> None:
    """All rows, or those of noted keys."""
    is_binary = chunks.binary(here, there)
    names = sql.SQL(", ").join([sql.SQL("t.{}").format(sql.Identifier(column.name)) for column in here.stored_columns])
    noted: sql.Composable = sql.SQL("true")
    if log is not None:
        noted = sql.SQL("EXISTS (SELECT FROM {} AS k WHERE {})").format(log.log, log.matched)
    copy_out = sql.SQL("COPY (SELECT {} FROM {} AS t WHERE {}) TO STDOUT{}").format(
        names, scan(here), noted, sql.SQL(" (FORMAT binary)" if is_binary else "")
    )
    stream(source, target, copy_out, chunks.copy_in(here, there, is_binary=is_binary), is_binary=is_binary)


def send_keys(  # noqa: PLR0913, PLR0917 - two sessions, what to send and where to
    origin: Connection,
    destination: Connection,
    log: Captured,
    keys: sql.Identifier,
    like: sql.Identifier,
    within: sql.Composable | None = None,
) -> int:
    """Each noted key once, into a table of the destination's session with columns like another one's; how many.

    ``within``: a condition on the log's entries, called ``k``.
    """
    names = [sql.Identifier(column.name) for column in log.key]
    columns = sql.SQL(", ").join(names)
    # Emptied by every COMMIT, so made once a session: the catalog does not grow with the rounds.
    create = sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA")
    execute(destination, create.format(keys, columns, like))
    noted = sql.SQL(", ").join(sql.SQL("k.{}").format(name) for name in names)
    copy_out = sql.SQL("COPY (SELECT DISTINCT {} FROM {} AS k WHERE {}) TO STDOUT").format(
        noted, log.log, within or sql.SQL("true")
    )
    copy_in = sql.SQL("COPY {} ({}) FROM STDIN").format(keys, columns)
    sent = stream(origin, destination, copy_out, copy_in).rows
    if sent >= ANALYZED_KEYS:
        execute(destination, sql.SQL("ANALYZE {}").format(keys))
    return sent
