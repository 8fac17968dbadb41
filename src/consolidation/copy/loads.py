"""The loads of a copy: one for each table, cut into chunks and journalled before the first row is read.

One round trip each, batched over all tables: their number may be large, and the server far away.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.copy import chunks
from consolidation.copy import deferred as defer
from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.journal import records
from consolidation.journal.phase import Work
from consolidation.model import Database
from consolidation.postgres.catalog import Table, read_tables
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, hold
from consolidation.postgres.queries import Row, dicts, execute, query, rows, value

Pairs = Sequence[tuple[Table, Table]]
"""Tables of the source, each with its counterpart."""


def of_run(target: Connection, run: records.Run) -> list[Row]:
    """The loads that the journal knows, the largest first."""
    return dicts(target, query("copy/loads"), [run.id, run.database])


def filled(conn: Connection, tables: Sequence[Table]) -> set[str]:
    """Names of the tables that hold rows."""
    looks = sql.SQL(", ").join(sql.SQL("EXISTS (SELECT FROM {})").format(table.identifier) for table in tables)
    found = value(conn, sql.SQL("SELECT ARRAY[{}]::bool[]").format(looks))
    return {table.name for table, has_rows in zip(tables, found, strict=True) if has_rows}


def matched(source: Connection, target: Connection, database: Database) -> Pairs:
    """The tables to load. Raises StepRefused where the target has no place for one of their columns."""
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
    return pairs


def enqueue(source: Connection, target: Connection, work: Work, tables: Pairs, leftovers: Collection[str]) -> bool:
    """Journal the chunks of every table that has none yet, and drop what the load goes without: one transaction.

    ``leftovers``: tables that hold rows of a run that was rolled back. Whether anything is to be loaded or restored.
    """
    run, epoch = work.run, work.state.fence.fence_epoch
    known = {row["table_name"]: row for row in of_run(target, run)}
    files = _files(source, [table for table, _ in tables])
    # Opened in between, or one table rewritten on the source: old page ranges are void, and all are loaded again. Those
    # that refer to a table would not let it be emptied alone.
    loaded_from = {name: (row["fence_epoch"], row["source_filenode"]) for name, row in known.items()}
    # Of a source that is followed a change of any kind is noted, or changes the table's mark.
    void = not work.database.strategy.follows and any(
        name in known and loaded_from[name] != (epoch, file) for name, file in files.items()
    )
    waiting = [(table, counterpart) for table, counterpart in tables if void or table.name not in known]
    keys = {"run_id": run.id, "database": run.database}
    # First of all: it waits for a chunk that a worker of an earlier attempt may still hold.
    execute(target, "SET LOCAL lock_timeout = '5min'")
    execute(target, query("copy/loads_delete"), {**keys, "tables": [table.name for table, _ in waiting]})
    fence.pass_through(target)
    # A reader of the target would have dropping keys and emptying wait; here it has a limit and a name.
    hold(target, work.database.target, [there for _, there in waiting], ACCESS_EXCLUSIVE)
    deferred = _defer(target, run, [there for _, there in waiting], known)
    # Rows of a load whose source was open or rewritten since: its page ranges mean nothing now, it is done again.
    _empty(target, [there for table, there in waiting if table.name in leftovers or table.name in known])
    _require_empty(target, [there for _, there in waiting])
    loads = [
        {
            "table_name": table.name,
            "deferred": [item.as_json() for item in deferred[table.name]],
            "binary": chunks.binary(table, there),
            "fence_epoch": epoch,
            "source_filenode": files[table.name],
        }
        for table, there in waiting
    ]
    execute(target, query("copy/loads_insert"), {**keys, "loads": json.dumps(loads, ensure_ascii=False)})
    cuts = chunks.cut(source, [table for table, _ in waiting])
    queued = [{"table_name": name, **asdict(chunk)} for name, cut in cuts.items() for chunk in cut]
    execute(target, query("copy/chunks_insert"), {**keys, "chunks": json.dumps(queued, ensure_ascii=False)})
    target.commit()
    return bool(waiting) or any(row["state"] != "done" for row in known.values())


def _files(source: Connection, tables: Iterable[Table]) -> dict[str, int | None]:
    """By table, the file that holds its rows: another one after a rewrite. A partitioned table has none."""
    names = {table.oid: table.name for table in tables}
    nodes = rows(source, "SELECT t, pg_relation_filenode(t::regclass) FROM unnest(%s::oid[]) AS t", [list(names)])
    return {names[oid]: node for oid, node in nodes}


def _defer(
    target: Connection, run: records.Run, tables: Sequence[Table], known: dict[str, Row]
) -> dict[str, tuple[defer.Deferred, ...]]:
    """Drop what the load goes without; by table, after what an earlier load of this run dropped and never restored."""
    present = defer.read(target, run.database, [table.name for table in tables])
    defer.drop(target, present)
    return {
        table.name: (
            *(item for item in present if item.table_name == table.name),
            *(item for item in _not_restored(known.get(table.name)) if item not in present),
        )
        for table in tables
    }


def _not_restored(load: Row | None) -> tuple[defer.Deferred, ...]:
    missing = defer.from_json(load["deferred"]) if load and load["state"] != "done" else ()
    if load and load["state"] == "restoring":
        missing = tuple(item for item in missing if item.kind == defer.FOREIGN_KEY)
    return missing


def _empty(target: Connection, tables: Sequence[Table]) -> None:
    if tables:
        names = sql.SQL(", ").join(table.identifier for table in tables)
        execute(target, sql.SQL("TRUNCATE {}").format(names))


def _require_empty(target: Connection, tables: Sequence[Table]) -> None:
    found = filled(target, tables)
    for table in tables:
        if table.name in found:
            raise StepRefused(f"{table} is not empty any more", hint="find out who writes to it; run again")
