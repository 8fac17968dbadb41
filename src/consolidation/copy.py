"""The copy phase: every row of the source's tables into the target's, exactly once, resumable anywhere.

One snapshot of the fenced source is shared by all workers. Keys, indexes and triggers are dropped for the load (defer)
and restored after it; ANALYZE runs before anybody may read the target.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation import chunks, defer, fence, figures, journal
from consolidation.catalog import Table, read_sequences, read_tables
from consolidation.connection import session
from consolidation.digest import scan
from consolidation.errors import CopyError, StepRefused
from consolidation.model import Database
from consolidation.queries import dicts, execute, query, rows, value
from consolidation.sequences import pairs
from consolidation.workers import run_workers

OPEN_STATES = (journal.MIGRATING, journal.MIGRATED)


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
    if database.moves:
        return Plan(database, (), f"{database.name} is moved, not copied")
    with session(database.source, "copy plan") as source:
        tables = read_tables(source, database.source_schema, database.tables)
    with session(database.target, "copy plan") as target:
        run = journal.latest_run(target, database.name)
        if run is not None and run.state in OPEN_STATES and journal.target_in_charge(journal.phases(target, run)):
            # Whatever the source looks like now: rows that the target has taken since are not to be loaded over.
            return Plan(database, (), f"run {run.id} has copied {database.name} and opened its target")
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
        return {"msg": plan.settled, "moves": database.moves}
    started = time.monotonic()
    with journal.phase(database, phase) as work:
        work.result.update(run_id=work.run.id, moves=False)
        if journal.target_in_charge(journal.phases(work.journal, work.run)):
            raise StepRefused(
                f"{database.name}: run {work.run.id} has opened the target, nothing is loaded over it any more",
                hint="run migrate.yml again to go on with the cutover, or rollback.yml to go back",
            )
        with session(database.target, "copy") as target, _snapshot(database) as (source, snapshot):
            _require_fences(source, target, database)
            tables = _matched(source, target, database)
            _enqueue(source, target, work, tables, {load.table.name for load in plan.loads if load.leftover_rows})
            with ThreadPoolExecutor(1) as counting:
                counted = counting.submit(_count, source, [table for table, _ in tables])
                errors = run_workers(options, work.run.id, snapshot, workers)
            _require_loaded(target, work.run, errors)
            _require_counts(target, work.run, counted.result())
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
    states = {table.name: _source_state(source, target, work.run, table) for table, _ in tables}
    waiting = [
        (table, counterpart)
        for table, counterpart in tables
        if table.name not in known or known[table.name]["source_state"] != states[table.name]
    ]
    fence.pass_through(target)
    deferred = {table.name: _defer(target, counterpart, known.get(table.name)) for table, counterpart in waiting}
    # Rows of a load whose source was open or rewritten since: its page ranges mean nothing now, it is done again.
    emptied = [there for table, there in waiting if table.name in leftovers or table.name in known]
    if emptied:
        names = sql.SQL(", ").join(table.identifier for table in emptied)
        execute(target, sql.SQL("TRUNCATE {}").format(names))
    for table, counterpart in waiting:
        if _has_rows(target, counterpart):
            raise StepRefused(f"{counterpart} is not empty any more", hint="find out who writes to it; run again")
        keys = [work.run.id, work.run.database, table.name]
        execute(target, query("load_delete"), keys)
        definitions = json.dumps([item.as_json() for item in deferred[table.name]])
        is_binary = chunks.binary(table, counterpart)
        execute(target, query("load_insert"), [*keys, definitions, is_binary, states[table.name]])
        for chunk in chunks.cut(source, table):
            execute(target, query("chunk_insert"), [*keys, *asdict(chunk).values()])
    target.commit()


def _defer(target: Connection, table: Table, load: dict[str, Any] | None) -> tuple[defer.Deferred, ...]:
    """Drop what the load goes without, after what an earlier load of this run has dropped and not restored yet."""
    missing = defer.from_json(load["deferred"]) if load and load["state"] != "done" else ()
    if load and load["state"] == "restoring":
        missing = tuple(item for item in missing if item.kind == defer.FOREIGN_KEY)
    present = defer.read(target, table.schema, [table.name])
    defer.drop(target, present)
    return (*present, *missing)


def _require_loaded(target: Connection, run: journal.Run, errors: list[str]) -> None:
    """A worker that failed does no harm where the others have done its chunks."""
    waiting = value(
        target,
        "SELECT count(*) FROM consolidation.chunk WHERE run_id = %s AND database = %s AND state <> 'done'",
        [run.id, run.database],
    )
    if waiting:
        raise CopyError(
            f"{run.database}: {waiting} chunks are not loaded: {'; '.join(sorted(set(errors))) or 'nobody took them'}",
            hint="mend the cause and run the same command again: it resumes with the chunks that are not done",
        )


def _count(source: Connection, tables: list[Table]) -> dict[str, int]:
    """count(*) of every table in the copy's snapshot: hashes cannot see rows that a query leaves out."""
    return {table.name: value(source, sql.SQL("SELECT count(*) FROM {}").format(scan(table))) for table in tables}


def _require_counts(target: Connection, run: journal.Run, counted: dict[str, int]) -> None:
    for name, rows_there in counted.items():
        arrived = value(target, query("load_counted"), [rows_there, run.id, run.database, name])
        if arrived != rows_there:
            raise CopyError(
                f"{run.database}: {name} has {rows_there} rows on the source, {arrived} were loaded",
                hint="report this: a fault of ours; rollback.yml re-opens the source",
            )
    target.commit()


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
    estimate = f"about {figures.count(table.estimated_rows)} rows, {figures.size(table.table_bytes)}"
    return f"{table} -> {database.name}.{table.name}: {estimate}{'; ' + note if note else ''}"
