"""A copy worker: a process of its own that takes chunks from the journal's queue until all are loaded.

``python -m consolidation.copy.worker`` reads its task as one JSON object from standard input and prints one JSON line
for each chunk. It dies with the process that started it; a chunk half loaded is rolled back by the server.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.copy import chunks
from consolidation.copy.pool import Queue, host
from consolidation.copy.stream import stream
from consolidation.errors import ConsolidationError, CopyError, describe
from consolidation.fence import state as fence
from consolidation.journal.records import LOCK_SPACE
from consolidation.model import Database
from consolidation.postgres.catalog import Table, read_tables
from consolidation.postgres.connection import connect
from consolidation.postgres.locks import ACCESS_SHARE, hold
from consolidation.postgres.queries import dicts, execute, query, value
from consolidation.processes import die_with_parent

LOCK_SECONDS = 5
"""No one but DDL is in a reader's way, and the coordinator has just got the same locks."""


@dataclass(frozen=True)
class Task:
    """What a worker needs to know."""

    database: Database
    queue: Queue
    host: str
    """For the journal."""
    parent: int
    """Process id of the coordinator."""


class Alone:
    """In the place of processes (``pool``), where one of them takes longer to start than all there is to load."""

    def run(self, database: Database, queue: Queue) -> list[str]:
        """Work to the end; the error, if it failed."""
        try:
            for _ in work(Task(database, queue, host(), os.getpid())):
                pass
        except (ConsolidationError, psycopg2.Error) as error:
            return [_text(error)]
        return []


def work(task: Task) -> Iterator[Json]:
    """Copy chunks until all are loaded, those too that others began and left behind; each that was loaded."""
    database = task.database
    source = connect(database.source, "copy worker")
    target = connect(database.target, "copy worker")
    try:
        execute(source, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if not _sees(source, target, task):
            return
        # All at the start: whoever asks for ACCESS EXCLUSIVE later on waits for us, and not we for them, while the
        # coordinator's own lock keeps them waiting.
        hold(source, database.source, fence.read(source, database.source_side), ACCESS_SHARE, LOCK_SECONDS)
        source_tables = {table.name: table for table in read_tables(source, database.source_schema, database.tables)}
        target_tables = {table.name: table for table in read_tables(target, database.name)}
        prefer_lz4(target)
        execute(source, "SAVEPOINT chunk")
        while (done := _next_chunk(task, source, target, source_tables, target_tables)) is not None:
            yield done
    finally:
        source.close()
        target.close()


def _sees(source: Connection, target: Connection, task: Task) -> bool:
    """Take the coordinator's snapshot; false where it has ended with the last chunk, before this worker began."""
    try:
        execute(source, "SET TRANSACTION SNAPSHOT %s", [task.queue.snapshot])
    except psycopg2.errors.InvalidParameterValue:
        keys = {"run_id": task.queue.run_id, "database": task.database.name, "space": LOCK_SPACE}
        [copy] = dicts(target, query("copy/queue_look"), keys)
        if copy["waiting"]:
            raise
        return False
    return True


def prefer_lz4(target: Connection) -> None:
    """Compress large values with lz4 where the server has it: about twice as fast to load, about the same size."""
    offered = value(target, "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    if offered and "lz4" in offered:
        execute(target, "SET default_toast_compression = 'lz4'")
    target.commit()


def _next_chunk(
    task: Task, source: Connection, target: Connection, sources: dict[str, Table], targets: dict[str, Table]
) -> Json | None:
    """Load one chunk; its rows and its ``done`` commit together, so it is loaded exactly once whatever dies."""
    keys = {"run_id": task.queue.run_id, "database": task.database.name}
    claimed = dicts(target, query("copy/claim_chunk") + "SKIP LOCKED", keys)
    if not claimed:
        execute(target, "SET LOCAL lock_timeout = 0")  # as long as those take who load the last chunks
        claimed = dicts(target, query("copy/claim_chunk"), keys)
    if not claimed:
        return None
    chunk = claimed[0]
    started = time.monotonic()
    here, there = sources[chunk["table_name"]], targets[chunk["table_name"]]
    fence.pass_through(target)
    names = [column.name for column in here.stored_columns]
    copy_out = chunks.copy_out(here, names, chunk["low"], chunk["high"], is_binary=chunk["binary"])
    copy_in = chunks.copy_in(here, there, is_binary=chunk["binary"])
    passed = stream(source, target, copy_out, copy_in, is_binary=chunk["binary"])
    figures = {
        **asdict(passed),
        "seconds": round(time.monotonic() - started, 3),
        "worker": f"{task.host}:{os.getpid()}",
    }
    named = {"table": here.name, "number": chunk["number"]}
    coordinator = {"attempt": task.queue.attempt, "lead": task.queue.lead, "space": LOCK_SPACE}
    if task.database.strategy.follows:
        # TRUNCATE and DDL of the application would queue behind our lock until the last chunk, and all behind them.
        execute(source, "ROLLBACK TO chunk")
    if not execute(target, query("copy/chunk_done"), {**keys, **named, **figures, **coordinator}):
        raise CopyError(
            f"{keys['database']}: the copy that this worker belongs to has ended, its chunk was rolled back",
            hint="run the same command again: it resumes with the chunks that are not done",
        )
    target.commit()
    return {**named, **figures}


def main() -> int:
    """Run one task; 0 when all chunks are loaded, 1 after an error, which is the last line printed."""
    given = json.load(sys.stdin)
    task = Task(Database.from_options(given["database"]), Queue(**given["queue"]), given["host"], given["parent"])
    die_with_parent(task.parent)
    try:
        for done in work(task):
            _tell(done)
    except (ConsolidationError, psycopg2.Error) as error:
        _tell({"error": _text(error)})
        return 1
    return 0


def _tell(line: Json) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201 - the coordinator reads it


def _text(error: ConsolidationError | psycopg2.Error) -> str:
    return describe(error) if isinstance(error, psycopg2.Error) else error.message


if __name__ == "__main__":
    sys.exit(main())
