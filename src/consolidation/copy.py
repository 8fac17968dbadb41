"""The copy phase: every row of the source's tables into the target's, exactly once, resumable anywhere.

One snapshot of the fenced source is shared by all workers. Keys, indexes and triggers are dropped for the load (defer)
and restored after it; ANALYZE runs before anybody may read the target.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from os import getpid
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation import chunks, defer, fence, journal
from consolidation.catalog import Table, read_sequences, read_tables
from consolidation.connection import session
from consolidation.errors import CopyError, StepRefused
from consolidation.model import Database
from consolidation.queries import dicts, execute, query, rows, value
from consolidation.sequences import pairs


@dataclass(frozen=True)
class Load:
    """What is to be done for one table."""

    table: Table
    done: bool
    """Loaded already by this run."""
    leftover_rows: bool
    """The target's table holds rows of a run that was rolled back: it is emptied first."""


@dataclass(frozen=True)
class Plan:
    """The tables to load; estimates are the source's statistics."""

    database: Database
    loads: tuple[Load, ...]
    settled: str

    @property
    def changed(self) -> bool:
        """Whether any table is to be loaded."""
        return not self.settled and any(not load.done for load in self.loads)

    def diff(self) -> dict[str, str]:
        """One line for each table."""
        lines = [self.settled] if self.settled else [_line(self.database, load) for load in self.loads]
        return {"prepared": "".join(f"{line}\n" for line in lines)}


def plan(database: Database) -> Plan:
    """What would be loaded. Raises StepRefused where the target holds rows that no run of ours brought."""
    with session(database.source, "copy plan") as source:
        tables = read_tables(source, database.source_schema, database.tables)
    with session(database.target, "copy plan") as target:
        run = journal.latest_run(target, database.name)
        if run is not None and run.state == journal.MIGRATED:
            return Plan(database, (), f"run {run.id} has copied and cut over {database.name} already")
        loaded = {row["table_name"]: row["state"] for row in _loads(target, run)} if run else {}
        there = {table.name: table for table in read_tables(target, database.name)}
        rolled_back = journal.was_rolled_back(target, database.name)
        plans = []
        for table in tables:
            filled = table.name in there and table.name not in loaded and _has_rows(target, there[table.name])
            if filled and not rolled_back:
                raise StepRefused(
                    f"{database.name}: target table {there[table.name]} holds rows that this runbook did not bring",
                    hint="find out whose they are; empty the table or choose another schema, then run again",
                )
            plans.append(Load(table, loaded.get(table.name) == "done", filled))
    return Plan(database, tuple(plans), "")


def apply(plan: Plan, options: dict[str, Any], workers: int, phase: str = "copy") -> dict[str, Any]:
    """Load what is not loaded yet, with ``workers`` processes. ``options``: the module's ``database`` option.

    Raises CopyError, StepRefused.
    """
    database = plan.database
    if plan.settled:
        return {"msg": plan.settled}
    started = time.monotonic()
    with journal.phase(database, phase) as work:
        work.result["run_id"] = work.run.id
        with session(database.target, "copy") as target, _snapshot(database) as (source, snapshot):
            _require_fences(source, target, database)
            tables = _matched(source, target, database)
            _enqueue(source, target, work, tables, {load.table.name for load in plan.loads if load.leftover_rows})
            _run_workers(options, work.run.id, snapshot, workers)
            _require_loaded(target, work.run)
            sequences = _set_sequences(source, target, database)
        _restore(database, work.run, workers)
        with session(database.target, "copy") as target:
            work.result["tables"] = dicts(target, query("load_figures"), [work.run.id, database.name])
        work.result.update(sequences=sequences, seconds=round(time.monotonic() - started, 3))
        return dict(work.result)


@contextmanager
def _snapshot(database: Database) -> Iterator[tuple[Connection, str]]:
    """The source frozen: a snapshot for all workers, its tables locked against TRUNCATE and rewrites."""
    with session(database.source, "copy snapshot") as source:
        execute(source, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for table in read_tables(source, database.source_schema, database.tables):
            execute(source, sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(table.identifier))
        yield source, value(source, "SELECT pg_export_snapshot()")


def _require_fences(source: Connection, target: Connection, database: Database) -> None:
    for conn, name in ((source, "source"), (target, "target")):
        if not fence.is_closed(conn, fence.side_of(database, name)):
            raise StepRefused(
                f"{database.name}: the {name} is not fenced, rows could change while they are copied",
                hint="run the phases in order: ansible-playbook migrate.yml closes both fences first",
            )


def _matched(source: Connection, target: Connection, database: Database) -> tuple[tuple[Table, Table], ...]:
    there = {table.name: table for table in read_tables(target, database.name)}
    pairs = []
    for table in read_tables(source, database.source_schema, database.tables):
        counterpart = there.get(table.name)
        missing = (
            set()
            if counterpart is None
            else {c.name for c in table.stored_columns} - {c.name for c in counterpart.stored_columns}
        )
        if counterpart is None or missing:
            what = f"columns {', '.join(sorted(missing))}" if counterpart else f"table {table.name}"
            raise StepRefused(
                f"{database.name}: the target has no {what} for {table}",
                hint="the lineage and the source must agree; preflight lists every difference with its fix",
            )
        pairs.append((table, counterpart))
    return tuple(pairs)


def _enqueue(
    source: Connection,
    target: Connection,
    work: journal.Work,
    tables: tuple[tuple[Table, Table], ...],
    leftovers: set[str],
) -> None:
    """Journal the chunks of every table that has none yet, and drop what the load goes without: one transaction."""
    known = {row["table_name"]: row for row in _loads(target, work.run)}
    for table, counterpart in tables:
        state = _source_state(source, target, work.run, table)
        load = known.get(table.name)
        if load is not None and load["source_state"] == state:
            continue
        fence.pass_through(target)
        deferred = defer.from_json(load["deferred"]) if load and load["state"] != "done" else None
        if load is not None:
            # The source was open or rewritten since: page ranges of then mean nothing now. The table is done again.
            execute(
                target,
                "DELETE FROM consolidation.table_load WHERE run_id = %s AND database = %s AND table_name = %s",
                [work.run.id, work.run.database, table.name],
            )
        if deferred is None:
            deferred = defer.read(target, counterpart.schema, [table.name])
            defer.drop(target, deferred)
        if load is not None or table.name in leftovers:
            execute(target, sql.SQL("TRUNCATE ONLY {}").format(counterpart.identifier))
        elif _has_rows(target, counterpart):
            raise StepRefused(f"{counterpart} is not empty any more", hint="find out who writes to it; run again")
        keys = [work.run.id, work.run.database, table.name]
        definitions = json.dumps([item.as_json() for item in deferred])
        execute(target, query("load_insert"), [*keys, definitions, chunks.binary(table, counterpart), state])
        for chunk in chunks.cut(source, table):
            execute(target, query("chunk_insert"), [*keys, *asdict(chunk).values()])
    target.commit()


def _run_workers(options: dict[str, Any], run_id: str, snapshot: str, count: int) -> None:
    """Run the workers to their end. Raises CopyError with the first one's error."""
    task = json.dumps({"database": options, "run_id": run_id, "snapshot": snapshot, "parent": getpid()})
    running = []
    for _ in range(count):
        process = subprocess.Popen(
            [sys.executable, "-m", "consolidation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
    try:
        with ThreadPoolExecutor(count) as pool:
            outputs = list(pool.map(lambda process: process.communicate(task)[0], running))
    finally:
        for process in running:
            process.kill()
    for process, output in zip(running, outputs, strict=True):
        if process.returncode != 0:
            last = json.loads(output.splitlines()[-1]) if output.strip() else {}
            text = last.get("error", f"a copy worker ended with status {process.returncode}")
            raise CopyError(text, hint="run the same command again: it resumes with the chunks that are not done")


def _require_loaded(target: Connection, run: journal.Run) -> None:
    open_chunks = value(
        target,
        "SELECT count(*) FROM consolidation.chunk WHERE run_id = %s AND database = %s AND state <> 'done'",
        [run.id, run.database],
    )
    if open_chunks:
        raise CopyError(f"{run.database}: {open_chunks} chunks are not loaded", hint="run the same command again")


def _set_sequences(source: Connection, target: Connection, database: Database) -> list[dict[str, Any]]:
    """Set every sequence of the target to where its counterpart on the source stands."""
    mine, theirs = read_sequences(source, database.source_schema), read_sequences(target, database.name)
    found = []
    for here, there in pairs(mine, theirs):
        name = sql.Identifier(there.schema, there.name).as_string(target)
        execute(target, "SELECT setval(%s::regclass, %s, %s)", [name, here.last_value, here.is_called])
        found.append({"name": there.name, "last_value": here.last_value, "is_called": here.is_called})
    target.commit()
    return found


def _restore(database: Database, run: journal.Run, workers: int) -> None:
    """Make keys and indexes again, tables side by side; then foreign keys, when every key they refer to is there."""
    for state, following in (("loading", "restoring"), ("restoring", "done")):
        with session(database.target, "copy restore") as target:
            waiting = [row for row in _loads(target, run) if row["state"] == state]
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda row, after=following: _restore_table(database, run, row, after), waiting))


def _restore_table(database: Database, run: journal.Run, load: dict[str, Any], following: str) -> None:
    last = following == "done"
    with session(database.target, "copy restore") as target:
        execute(target, "SET LOCAL maintenance_work_mem = '256MB'")
        defer.restore(target, defer.from_json(load["deferred"]), foreign_keys=last)
        if last:
            execute(target, sql.SQL("ANALYZE {}").format(sql.Identifier(database.name, load["table_name"])))
        execute(
            target,
            "UPDATE consolidation.table_load SET state = %s, finished_at = clock_timestamp()"
            " WHERE run_id = %s AND database = %s AND table_name = %s",
            [following, run.id, run.database, load["table_name"]],
        )


def _source_state(source: Connection, target: Connection, run: journal.Run, table: Table) -> str:
    """Changes when the source was opened in between, or its table rewritten: then old page ranges are void."""
    closed = journal.phases(target, run)["fence"].result.get("closed_at")
    node = rows(source, "SELECT pg_relation_filenode(%s::oid::regclass)", [table.oid])[0][0]
    return f"closed {closed}, file {node}"


def _loads(target: Connection, run: journal.Run) -> list[dict[str, Any]]:
    return dicts(target, query("loads"), [run.id, run.database])


def _has_rows(target: Connection, table: Table) -> bool:
    return bool(value(target, sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table.identifier)))


def _line(database: Database, load: Load) -> str:
    table = load.table
    note = "loaded already" if load.done else "emptied first, it holds a run rolled back" if load.leftover_rows else ""
    figures = f"about {table.estimated_rows} rows, {table.table_bytes} bytes"
    return f"{table} -> {database.name}.{table.name}: {figures}{'; ' + note if note else ''}"
