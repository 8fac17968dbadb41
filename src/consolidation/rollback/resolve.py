"""Resolve a run whose journal and sides disagree: its journal was lost or is older, or a fence was lifted by hand.

Both sides are compared. Where they are equal one of them is closed, and the run is made to say what is so. Where they
differ the operator decides whose rows stay; what is given up is kept as files first. The rows that stay are never
touched. Until it has come to its end no other command does anything, and the same command ends the same way.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from consolidation.borders import Json
from consolidation.errors import ConsolidationError, StepRefused
from consolidation.fence import sides as fences
from consolidation.fence import state as fence
from consolidation.fence import trigger
from consolidation.fence.sides import Sides
from consolidation.journal import records, runs
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import Phase, ResolveResult
from consolidation.journal.state import RunState
from consolidation.model import SOURCE, TARGET, Database
from consolidation.postgres.connection import session
from consolidation.rollback import both, cancel, kept, reconcile, resolved
from consolidation.rollback.both import Comparison
from consolidation.rollback.resolved import SOURCE_FIRST


@dataclass(frozen=True)
class Plan:
    """The next command."""

    database: Database
    run: RunState
    sides: Sides
    conflict: str
    found: Comparison
    keep: str
    """The side whose rows stay; '' where no one has said it and they differ."""
    typed: bool
    """Whether the operator has said so."""
    directory: Path
    """Of the backups: what is given up is kept there, below the run."""
    workers: int

    @property
    def changed(self) -> bool:
        """Whether there is anything to resolve, and a way that was chosen or needs no choice."""
        return bool(self.conflict and self.keep)

    @property
    def own_run(self) -> bool:
        """Whether the resolution has a run of its own: the journal had none, or only one that is over."""
        run = self.run.run
        return run is None or run.state == records.ROLLED_BACK or self.run.phases.keys() <= {Phase.RESOLVE}

    @property
    def goes_on(self) -> bool:
        """Whether a run that has not opened the target simply goes on: nothing is lost by closing it again."""
        return self.keep == SOURCE and not (self.own_run or self.typed) and self.run.standing in SOURCE_FIRST

    @property
    def after(self) -> str:
        """The run's state afterwards."""
        run = self.run.run
        if self.keep == TARGET:
            return records.MIGRATED if self.own_run or run is None else _target_stays(self.run, run.state)
        if self.own_run or run is None:
            return records.ROLLED_BACK
        return run.state if self.goes_on else records.ROLLING_BACK

    @property
    def refusal(self) -> StepRefused:
        """Why nothing can be done without the operator's choice, and how it is made."""
        return both.refusal(self.database, self.conflict, self.found)

    @property
    def msg(self) -> str:
        """For check mode."""
        if not self.conflict:
            return f"{self.database.name}: nothing to resolve, both sides are as the run says; {self.sides.writers}"
        if not self.keep:
            return str(self.refusal)
        why = "as you say" if self.typed else "both sides are equal"
        return f"{self.conflict}. The {self.keep} stays, {why}; the run will be {self.after.replace('_', ' ')}"

    def diff(self) -> dict[str, str]:
        """What is closed, changed, kept and opened, and the run's state."""
        if not self.changed:
            return {"prepared": f"{self.msg}\n"}
        other = TARGET if self.keep == SOURCE else SOURCE
        changes = self.found.towards(other)
        closing = (SOURCE, TARGET) if self.keep == TARGET else (TARGET,)
        lines = [f"close {name} {each}" for name in closing for each in _open_tables(self.sides, name)]
        lines += [f"keep {each.updated + each.deleted} rows of {each.destination} in a file" for each in changes]
        if self.keep == TARGET:
            lines += [
                f"{each.destination}: insert {each.inserted}, update {each.updated}, delete {each.deleted}"
                for each in changes
            ]
        if not self.goes_on:
            lines.append(f"open {self.keep}")
        lines.append(f"the run is {self.after}")
        return {"prepared": "".join(f"{line}\n" for line in lines)}


def plan(database: Database, consent: str, directory: Path, workers: int = 2) -> Plan:
    """Compare both sides where they are not as the run says; nothing is changed. Raises StepRefused where the side to
    keep cannot be kept."""
    run, sides, conflict = fences.check(database)
    found = both.compare(database, workers) if conflict else Comparison()
    planned = Plan(database, run, sides, conflict, found, "", typed=False, directory=directory, workers=workers)
    if not conflict:
        return planned
    if typed := next((side for side in (SOURCE, TARGET) if consent == both.sentence(database, side)), ""):
        if typed == TARGET:
            _require_whole_target(planned)
        return replace(planned, keep=typed, typed=True)
    return replace(planned, keep=_stays(run, sides) if found.equal else "")


def apply(plan: Plan, caller: runs.Caller, timeout_seconds: float) -> Json:
    """Do it. Raises StepRefused without a choice where one is needed, FenceError, BackupError, VerificationFailed."""
    if not plan.conflict:
        state = plan.run.run.state if plan.run.run else ""
        return {"msg": plan.msg, "state": state, "keep": plan.run.resolution.keep or ""}
    if not (plan.keep or plan.run.resolving):
        raise plan.refusal
    after = plan.after
    run = runs.enter(plan.database, caller)
    database = replace(plan.database, run_id=run.id)
    with recorded(database, Phase.RESOLVE, partial(_require_as_planned, plan)) as work:
        if not plan.keep:  # an attempt was cut off, and what both sides hold is not equal any more
            _open_again(database, work, timeout_seconds)
            raise plan.refusal
        earlier = work.found(ResolveResult).were_open
        were_open = tuple(side for side in (SOURCE, TARGET) if plan.sides.open(side)) if earlier is None else earlier
        work.note(ResolveResult(plan.keep, plan.typed, plan.conflict, after, were_open))
        work.keep()
        try:
            closed = _settle_rows(replace(plan, database=database), work, timeout_seconds)
        except ConsolidationError:
            with suppress(ConsolidationError):  # the first one says what is wrong
                _open_again(database, work, timeout_seconds)
            raise
        if plan.keep == TARGET:
            resolved.target_stays(database, work, closed[SOURCE], after)
        else:
            resolved.source_stays(database, work, after, own_run=plan.own_run)
        if not plan.goes_on:
            _open(database, plan.keep, timeout_seconds)
        with suppress(ConsolidationError):  # preflight says what is wrong with the revisions; the sides agree already
            both.stamp(database)
        found = replace(work.found(ResolveResult), were_open=None)
        work.replace(found)
        return {**work.result, "msg": both.done(database, plan.keep, after, found.kept_in or ())}


def _require_as_planned(plan: Plan, database: Database, run: RunState) -> None:
    """What was planned is still so, behind the lock. Raises StepRefused."""
    if plan.own_run and run.phases.keys() <= {Phase.RESOLVE}:
        return
    if plan.own_run or run.standing != plan.run.standing:
        raise StepRefused(
            f"{database.name}: another process has changed the run meanwhile",
            hint="nothing was changed; run the same command again",
        )


def _open_tables(sides: Sides, name: str) -> list[str]:
    return [f"{table.schema}.{table.name}" for table in sides.tables(name) if table.state != fence.CLOSED]


def _stays(run: RunState, sides: Sides) -> str:
    """Of two equal sides: the only one that takes writes right now, for no one is to be turned away without need."""
    if run.resolving and run.resolution.keep:
        return run.resolution.keep
    writers = [side for side in (SOURCE, TARGET) if sides.open(side)]
    if len(writers) == 1 and run.standing not in SOURCE_FIRST:
        return writers[0]
    return TARGET if run.standing in fences.MAY_HAVE_OPENED else SOURCE


def _target_stays(run: RunState, state: str) -> str:
    return state if state in (records.MIGRATED, records.MIGRATING) else cancel.state_after(run)


def _require_whole_target(plan: Plan) -> None:
    name = plan.database.name
    if plan.found.missing:
        raise StepRefused(
            f"{name}: the target lacks {', '.join(plan.found.missing)}: its rows cannot be the ones that stay",
            hint="nothing was changed; restore the storage database, or keep the source's rows",
        )
    if not plan.own_run and plan.run.standing in SOURCE_FIRST and not plan.run.verified:
        raise StepRefused(
            f"{name}: the run has not copied every row to the target: its rows cannot be the ones that stay",
            hint="nothing was changed; keep the source's rows",
        )


def _settle_rows(plan: Plan, work: Work, timeout_seconds: float) -> dict[str, str]:
    """Close what is not to take writes, compare again, keep what is given up, bring the target's rows if they stay.

    Returns the epoch of each side's fence, empty where it is open.
    """
    database, keep = plan.database, plan.keep
    _close(database, TARGET, timeout_seconds)
    if keep == TARGET:
        _close(database, SOURCE, timeout_seconds)
    closed = reconcile.fences(database)
    found = both.compare(database, plan.workers)
    if not (found.equal or plan.typed):
        raise replace(plan, found=found).refusal
    other = SOURCE if keep == TARGET else TARGET
    changes = found.towards(other)
    origin, destination = database.side(keep).settings, database.side(other).settings
    if given_up := [change for change in changes if change.updated or change.deleted]:
        with session(origin, "resolve") as giving, session(destination, "resolve") as taking:
            directory = kept.keep(giving, taking, given_up, plan.directory / work.run.id, database.name)
        work.note(ResolveResult(kept_in=(*(work.found(ResolveResult).kept_in or ()), str(directory))))
        work.keep()
    if keep == TARGET and changes:
        _bring(reconcile.Plan(database, SOURCE, changes, (), found.pairs, closed, ""), work)
    tables = tuple(change.as_result() for change in changes)
    work.note(replace(work.found(ResolveResult), tables=tables, compared=[each.source.name for each in found.pairs]))
    both.advance_sequences(database, found.pairs, (SOURCE, TARGET) if keep == TARGET else (SOURCE,))
    if keep == TARGET and not (closed[SOURCE] and reconcile.fences(database) == closed):
        raise StepRefused(
            f"{database.name}: a side was opened, or got a new table, while both were compared",
            hint="find out by whom, then run the same command again",
        )
    return closed


def _bring(plan: reconcile.Plan, work: Work) -> None:
    try:
        reconcile.carry_out(plan, work.run)
    except StepRefused as error:
        raise StepRefused(
            error.message,
            hint="no row was changed, the sides are as they were before; have the source's owner alter its table so"
            " that it takes them, or keep the source's rows; then run the same command again",
            facts=error.facts,
        ) from error


def _close(database: Database, name: str, timeout_seconds: float) -> None:
    side = database.side(name)
    with session(side.settings, "resolve") as conn:
        if any(table.state != fence.CLOSED for table in fence.read(conn, side)):
            trigger.close_side(conn, side, timeout_seconds)


def _open(database: Database, name: str, timeout_seconds: float) -> None:
    with session(database.side(name).settings, "resolve") as conn:
        trigger.open_side(conn, database.side(name), timeout_seconds)


def _open_again(database: Database, work: Work, timeout_seconds: float) -> None:
    """An attempt that came to nothing must not leave an outage: whoever took writes before takes them again."""
    closed = reconcile.fences(database)
    earlier = work.found(ResolveResult)
    work.replace(replace(earlier, were_open=None))
    for side in earlier.were_open or ():
        if closed[side]:
            _open(database, side, timeout_seconds)
