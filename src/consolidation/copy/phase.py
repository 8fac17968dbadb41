"""The copy phase: every row of the source's tables into the target's, exactly once, resumable anywhere.

One snapshot of the fenced source is shared by all workers. Keys, indexes and triggers are dropped for the load (defer)
and restored after it; ANALYZE runs before anyone may read the target.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from uuid import uuid4

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation import text as figures
from consolidation.borders import Json
from consolidation.capture import trigger as capture
from consolidation.capture.state import PREPARED
from consolidation.copy import chunks, helper, loads, noted, rereading, restore
from consolidation.copy.pool import Workers, started
from consolidation.copy.worker import Alone
from consolidation.errors import CopyError, StepRefused
from consolidation.fence import state as fence
from consolidation.fence import trigger
from consolidation.journal import records, state
from consolidation.journal.phase import recorded
from consolidation.journal.results import CopyResult, Phase
from consolidation.model import Database
from consolidation.postgres.catalog import Table, read_sequences, read_tables, scan
from consolidation.postgres.connection import session
from consolidation.postgres.locks import ACCESS_SHARE, LOCK_SECONDS, hold
from consolidation.postgres.queries import dicts, execute, query, rows, value
from consolidation.postgres.sequences import implied, is_behind, pairs


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
    skip_reason: str

    @property
    def changed(self) -> bool:
        """Whether any table is to be loaded."""
        return not self.skip_reason and any(not load.done for load in self.loads)

    def diff(self) -> dict[str, str]:
        """One line for each table."""
        lines = [self.skip_reason] if self.skip_reason else [_line(self.database, load) for load in self.loads]
        return {"prepared": "".join(f"{line}\n" for line in lines)}


def plan(database: Database) -> Plan:
    """What would be loaded. Raises StepRefused where the target holds rows that this runbook did not load."""
    if not database.strategy.two_copies:
        return Plan(database, (), f"{database.name} is moved, not copied")
    with session(database.target, "copy plan") as target:
        journal = state.read(target, database)
        if reason := journal.skip_reason(Phase.COPY):
            # Whatever the source looks like now: rows that the target has taken since are not to be loaded over.
            return Plan(database, (), reason)
        with session(database.source, "copy plan") as source:
            tables = read_tables(source, database.source_schema, database.tables)
        run = journal.run
        loaded = {row["table_name"]: row["state"] for row in loads.of_run(target, run)} if run else {}
        there = {table.name: table for table in read_tables(target, database.name)}
        rolled_back = records.was_rolled_back(target, database.name)
        filled = loads.filled(target, [there[t.name] for t in tables if t.name in there and t.name not in loaded])
    if filled and not rolled_back:
        raise StepRefused(
            f"{database.name}: target table {there[min(filled)]} holds rows that this runbook did not load",
            hint="identify their owner; empty the table or choose another schema, then run again",
        )
    planned = [Load(table, loaded.get(table.name) == "done", table.name in filled) for table in tables]
    return Plan(database, tuple(planned), "")


def apply(plan: Plan, workers: int, readers: int = 0) -> Json:
    """Load what is not loaded yet, with ``workers`` processes. Raises CopyError, StepRefused.

    ``readers``: processes that read again what is loaded, where the runner has cores for them.
    """
    database = plan.database
    if plan.skip_reason:
        return {"msg": plan.skip_reason, "mode": database.strategy.name}
    begun, followed = time.monotonic(), database.strategy.follows
    with recorded(database, Phase.COPY) as work:
        # Killed from here on, whatever was verified before is not taken for a verification of what is there then.
        earlier = work.found(CopyResult)
        work.replace(replace(earlier, mode=database.strategy.name, copy_id=None))
        work.keep()
        with rereading.beside(database, workers, 0 if followed else readers) as reread:
            with (
                _workers(plan, workers) as working,
                session(database.target, "copy") as target,
                (noted.snapshot if followed else _snapshot)(database) as (source, snapshot),
            ):
                if followed:
                    captured = noted.require_captured(source, target, database)
                else:
                    _require_fences(source, target, database, work.state)
                tables = loads.matched(source, target, database)
                leftovers = {load.table.name for load in plan.loads if load.leftover_rows}
                loading = loads.enqueue(source, target, work, tables, leftovers)
                queue = helper.publish(work, snapshot)
                if followed:
                    noted.remember(work, captured)
                    _require_loaded(target, work.run, working.run(database, queue))
                else:
                    reread.begin(work, tables)
                    with ThreadPoolExecutor(1) as counting:
                        counted = counting.submit(_count, source, [table for table, _ in tables])
                        errors = working.run(database, queue)
                    _require_loaded(target, work.run, errors)
                    _require_counts(target, work.run, counted.result())
                sequences = _set_sequences(source, target, database, [table for table, _ in tables])
            if followed and loading:
                noted.bring_up(database, work, tables, resumed=queue.attempt > 1)
            restore.tables(database, work.run, workers, reread)
        work.note(CopyResult(copy_id=earlier.copy_id if earlier.copy_id and not loading else uuid4().hex))
        with session(database.target, "copy") as target:
            trigger.close_side(target, database.target_side, LOCK_SECONDS)  # rows as well, now that they are loaded
            # From its opening on the target notes what changes, for a rollback; here its keys are there again.
            capture.install(target, database.target_side, PREPARED, LOCK_SECONDS)
            figures = dicts(target, query("copy/load_figures"), [work.run.id, database.name])
            hosts = helper.loaded_by_host(target, work.run.id, database.name)
        seconds = round(time.monotonic() - begun, 3)
        work.note(CopyResult(tables=tuple(figures), hosts=tuple(hosts), sequences=sequences, seconds=seconds))
        return dict(work.result)


def _workers(plan: Plan, most: int) -> AbstractContextManager[Workers | Alone]:
    tables = [load.table for load in plan.loads]
    if chunks.bytes_of(tables) < chunks.WORKER_BYTES:
        return nullcontext(Alone())
    return started(chunks.workers(tables, most))


@contextmanager
def _snapshot(database: Database) -> Iterator[tuple[Connection, str]]:
    """The source frozen: a snapshot for all workers, its tables locked. Raises StepRefused."""
    with session(database.source, "copy snapshot") as source:
        tables = fence.read(source, database.source_side)
        source.commit()
        execute(source, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # TRUNCATE and rewrites are not MVCC-safe: a snapshot that is older than the end of one sees an empty table.
        hold(source, database.source, tables, ACCESS_SHARE)
        if {table.oid for table in fence.read(source, database.source_side)} != {table.oid for table in tables}:
            raise StepRefused(
                f"{database.name}: tables of the source were made or dropped at this moment",
                hint="find out by whom, then run the same command again",
            )
        yield source, value(source, "SELECT pg_export_snapshot()")


def _require_fences(source: Connection, target: Connection, database: Database, run: state.RunState) -> None:
    fence.require_unbroken(source, database, run)
    if not fence.is_closed(target, database.target_side, fence.LOADING):
        raise StepRefused(
            f"{database.name}: the target is not fenced, rows could change while they are copied",
            hint="run the phases in order: ansible-playbook migrate.yml closes both fences first",
        )


def _require_loaded(target: Connection, run: records.Run, errors: list[str]) -> None:
    """A worker that failed does no harm where the others have done its chunks."""
    waiting = value(
        target,
        "SELECT count(*) FROM consolidation.chunk WHERE run_id = %s AND database = %s AND state <> 'done'",
        [run.id, run.database],
    )
    if waiting:
        reported = "; ".join(sorted(set(errors))) or "no worker claimed them"
        raise CopyError(
            f"{run.database}: {waiting} chunks are not loaded: {reported}",
            hint="correct what the workers report, then run the same command again: it resumes with the chunks that are"
            " not done",
        )


def _count(source: Connection, tables: list[Table]) -> dict[str, int]:
    """count(*) of every table in the copy's snapshot: hashes cannot see rows that a query leaves out."""
    return {table.name: value(source, sql.SQL("SELECT count(*) FROM {}").format(scan(table))) for table in tables}


def _require_counts(target: Connection, run: records.Run, counted: dict[str, int]) -> None:
    keys = {"run_id": run.id, "database": run.database, "counted": json.dumps(counted, ensure_ascii=False)}
    arrived = dict(rows(target, query("copy/loads_counted"), keys))
    for name, rows_there in counted.items():
        if arrived.get(name) != rows_there:
            raise CopyError(
                f"{run.database}: {name} has {rows_there} rows on the source, {arrived.get(name)} were loaded",
                hint="this is a bug, please report it; rollback.yml re-opens the source",
            )
    target.commit()


def _set_sequences(source: Connection, target: Connection, database: Database, tables: list[Table]) -> list[Json]:
    """Set every sequence of the target to where its counterpart on the source stands, or its column without one."""
    mine, theirs = read_sequences(source, database.source_schema), read_sequences(target, database.name)
    found = []
    numbered = [(here, there) for here, there in implied(source, tables, mine, theirs) if is_behind(there, here)]
    for here, there in (*pairs(mine, theirs), *numbered):
        name = sql.Identifier(there.schema, there.name).as_string(target)
        execute(target, "SELECT setval(%s::regclass, %s, %s)", [name, here.last_value, here.is_called])
        found.append({"name": there.name, "last_value": here.last_value, "is_called": here.is_called})
    target.commit()
    return found


def _line(database: Database, load: Load) -> str:
    table = load.table
    note = "loaded already" if load.done else "emptied first, it holds a run rolled back" if load.leftover_rows else ""
    estimate = f"about {figures.count(table.estimated_rows)} rows, {figures.size(table.table_bytes)}"
    return f"{table} -> {database.name}.{table.name}: {estimate}{'; ' + note if note else ''}"
