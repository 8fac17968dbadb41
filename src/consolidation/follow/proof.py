"""The proof after the opening: the closed source against the open target, without what the target has noted since.

It trusts nothing that the migration has noted: a change that was lost on the way is a difference. Writers of the target
go on; it may be cut off and done again at any time until the source is written again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.capture import state as capture
from consolidation.capture.memory import Memory
from consolidation.capture.state import Captured
from consolidation.compare.buckets import Pair, pair
from consolidation.compare.digest import Incomparable, table_digest
from consolidation.compare.result import DIFFERENT, EQUAL, NOT_COMPARED, Comparison, TableResult
from consolidation.copy.noted import send_keys
from consolidation.errors import VerificationFailed
from consolidation.fence import state as fence
from consolidation.follow.phase import end_sources_capture
from consolidation.journal import state
from consolidation.journal.phase import recorded
from consolidation.journal.plan import Plan
from consolidation.journal.results import Phase, ProofResult
from consolidation.model import TARGET, Database
from consolidation.postgres.background import meanwhile
from consolidation.postgres.catalog import Table, read_tables, scan
from consolidation.postgres.connection import session

METHOD = "rows hashed by SQL on both sides, without those that changed since the opening"


def plan(database: Database) -> Plan:
    """Whether there is something to prove: once it has a verdict, that stays."""
    with session(database.target, "proof plan") as target:
        run = state.read(target, database)
    skip_reason = run.skip_reason(Phase.PROOF)
    if not skip_reason and run.done(Phase.PROOF):
        skip_reason = f"{database.name}: proved already"
    return Plan(database, f"compare the closed source of {database.name} with its open target", skip_reason)


def apply(plan: Plan, timeout_seconds: float) -> Json:
    """Compare. Raises VerificationFailed where they differ, StepRefused where the source was opened since."""
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    database = plan.database
    with recorded(database, Phase.PROOF) as work:
        with session(database.source, "proof fence") as source:
            fence.require_unbroken(source, database, work.state)
        started = time.monotonic()
        end_sources_capture(database, timeout_seconds)
        memory = Memory(work.journal, work.run, TARGET)
        memory.validate(database.target)
        tables = _compare(database, memory.opposite(work.journal).marks())
        found = Comparison(tuple(tables))
        work.note(ProofResult(**found.as_json(), at=work.now(), seconds=round(time.monotonic() - started, 3)))
        if found.outcome == DIFFERENT:
            raise VerificationFailed(
                f"{database.name}: the target has not all that the source had: {found.complaint}",
                hint="the target is open and takes writes; the source is closed and unchanged. Keep both, find out who"
                " wrote past the capture or the fence, then decide: ansible-playbook rollback.yml rolls the run back",
                facts=found.as_json(),
            )
        return dict(work.result)


def _compare(database: Database, marks: dict[str, str]) -> list[TableResult]:
    here, there = database.source_side, database.target_side
    with session(here.settings, "proof") as source, session(there.settings, "proof") as target:
        target.set_session(isolation_level="REPEATABLE READ")
        keys = {table.name: table for table in capture.read(source, here)}
        ours = read_tables(source, here.schema, here.tables)
        found = []
        for table in ours:
            # A snapshot for each table: none of them is held for long.
            target.rollback()
            log = next(iter(capture.read(target, replace(there, tables=(table.name,)))), None)
            if log is None or log.state != capture.ON or marks.get(table.name) != log.mark:
                why = "the target has not noted all that changed there since its opening"
                found.append(TableResult(table.name, NOT_COMPARED, reason=why))
                continue
            [theirs] = read_tables(target, there.schema, [table.name])
            logged = bool(capture.with_entries(target, [log]))
            found.append(_table(source, target, (table, theirs), (keys[table.name], log), logged=logged))
            source.rollback()
        return found


def _table(
    source: Connection,
    target: Connection,
    both: tuple[Table, Table],
    captured: tuple[Captured, Captured],
    *,
    logged: bool,
) -> TableResult:
    (ours, theirs), (here, log), started = both, captured, time.monotonic()
    try:
        compared: Pair = pair(ours, theirs)
    except Incomparable as error:
        return TableResult(ours.name, NOT_COMPARED, reason=error.message)
    if logged and not (compared.key and log.key and here.key):
        return TableResult(ours.name, NOT_COMPARED, reason="it has no key, and rows changed since the opening")
    chosen: list[sql.Composable | None] = [None, None]
    if logged:
        keys = sql.Identifier("pg_temp", f"consolidation_keys_{ours.oid}")
        send_keys(target, source, log, keys, ours.identifier)
        without = sql.SQL("{} AS t WHERE NOT EXISTS (SELECT FROM {} AS k WHERE {})")
        chosen = [
            without.format(scan(ours), keys, here.matched),
            without.format(scan(theirs), log.log, log.matched),
        ]
    with meanwhile(target, partial(table_digest, target, theirs, compared.columns, chosen[1])) as digesting:
        mine = table_digest(source, ours, compared.columns, chosen[0])
    found = digesting.result()
    seconds = round(time.monotonic() - started, 3)
    outcome = EQUAL if mine == found else DIFFERENT
    return TableResult(ours.name, outcome, mine, found, seconds=seconds, method=METHOD)
