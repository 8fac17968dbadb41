"""The end of a migration, days later: the last archive of the source, then it is retired, then it is dropped.

From the phase ``finalize`` on there is no rollback. Each of its two steps wants a sentence of its own, and may be cut
off anywhere: the same command ends it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg2.errors

from consolidation.backup import databases
from consolidation.backup import phase as backup
from consolidation.borders import Json
from consolidation.capture import trigger as capture
from consolidation.errors import ConnectionFailed, StepRefused
from consolidation.fence import trigger
from consolidation.finalize import conditions, remains
from consolidation.finalize.remains import DATABASE, TABLES, Remains, Step
from consolidation.journal import state
from consolidation.journal.decisions import Standing
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import FinalizeResult, Phase, Result
from consolidation.journal.state import RunState
from consolidation.model import Database
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import execute

RETIRE, DROP, NOTHING = "retire", "drop", ""


@dataclass(frozen=True)
class Options:
    """What finalize needs besides the database."""

    directory: Path
    """Of the backups."""
    tools: Path
    drill: Settings | None
    maintenance_dbname: str
    """Database of the source's server to connect to while the source is renamed."""
    timeout_seconds: float


@dataclass(frozen=True)
class DropResult(Result):
    """Phase finalize_drop."""

    dropped: list[str]


@dataclass(frozen=True)
class Plan:
    """What the sentence that was given does now, or the sentence that is to be given."""

    database: Database
    options: Options
    run: RunState
    remains: Remains
    step: str
    """``retire``, ``drop``, or empty where nothing is left to do."""
    steps: tuple[Step, ...]
    """Statements on the source that the step still needs."""
    pending: tuple[Step, ...]
    """Those that the retirement still needs."""
    consent: str
    archive: backup.Plan | None = field(default=None)
    """Of a retirement that has to make one."""

    @property
    def sentence(self) -> str:
        """What the operator types to agree; '' where nothing is left to do."""
        if self.step == NOTHING or self.run.run is None:
            return ""
        name, run_id = self.database.name, self.run.run.id
        return sentence(self.step, name, run_id)

    @property
    def agreed(self) -> bool:
        """Whether it was typed."""
        return bool(self.sentence) and self.consent == self.sentence

    @property
    def changed(self) -> bool:
        """Whether it would be. A retirement is refused without its sentence, a drop is left for another time."""
        return self.step == RETIRE or self.agreed

    @property
    def loss(self) -> str:
        """What cannot be undone."""
        name = self.database.name
        if self.step == DROP:
            return f"{name}: this drops {self.remains.words()} for good; its last dump stays in the backup directory"
        return (
            f"{name}: this archives and retires the source ({self.remains.words()}). From then on there is no"
            " rollback: the storage database has the only copy that is used"
        )

    @property
    def next_step(self) -> str:
        """What the operator does about it; as JSON, for Ansible splits other values at their spaces."""
        consent = shlex.quote(json.dumps({"finalize_consent": self.sentence}))
        return f"to go on, add --limit {self.database.name} -e {consent}"

    @property
    def msg(self) -> str:
        """For check mode, and where nothing is done."""
        if self.step == NOTHING:
            return f"{self.database.name}: finalized, its source is gone: nothing is left to do"
        if self.step == DROP and not self.agreed:
            return f"{_retired(self.database, self.remains, self.pending)}\nTo drop it: {self.next_step}"
        return f"{self.loss}\nNext: {self.next_step}"

    def diff(self) -> dict[str, str]:
        """What would be archived, taken off, and executed on the source."""
        if self.step == NOTHING or (self.step == DROP and not self.agreed):
            return {"prepared": f"{self.msg}\n"}
        lines = [self.archive.diff()["after"].rstrip()] if self.archive else []
        if self.step == RETIRE:
            lines.append(f"take the fence's and the capture's triggers off schema {self.database.name} of the target")
        lines += [f"{each.statement};{'' if each.allowed else '  -- a superuser must'}" for each in self.steps]
        return {"prepared": "".join(f"{line}\n" for line in lines)}


def sentence(step: str, database: str, run_id: str) -> str:
    """What the operator types to agree to a step."""
    what = "retire the source" if step == RETIRE else "drop the retired source"
    return f"{what} of {database} as of run {run_id}"


def plan(database: Database, options: Options, consent: str) -> Plan:
    """What is to be done now; nothing is changed. Raises StepRefused where the source is still needed."""
    with session(database.target, "finalize plan") as conn:
        run = state.read(conn, database)
    if reason := run.skip_reason(Phase.FINALIZE):
        raise StepRefused(reason, hint="nothing was changed")
    assert run.run is not None  # noqa: S101 - the decision says so
    known = run.finalization.remains
    left = Remains.from_json(known) if known else remains.read(database, run.run.id)
    place = left.place(database.source, options.maintenance_dbname)
    retire, drop = _statements(place, left)
    retired = run.done(Phase.FINALIZE) and not any(step.allowed for step in retire)
    if not retired:
        conditions.require_proved(left, database, run)
        archive = None if run.standing == Standing.FINALIZED else _archive(database, options)
        return _agreed(Plan(database, options, run, left, RETIRE, retire, retire, consent, archive))
    if not drop and (run.done(Phase.FINALIZE_DROP) or Phase.FINALIZE_DROP not in run.phases):
        return Plan(database, options, run, left, NOTHING, (), (), consent)
    # What a superuser has yet to retire is not to be dropped.
    return _agreed(Plan(database, options, run, left, DROP, retire or drop, retire, consent))


def _statements(place: Settings, left: Remains) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    with session(place, "finalize plan") as conn:
        return remains.to_retire(conn, left), remains.to_drop(conn, left)


def _archive(database: Database, options: Options) -> backup.Plan | None:
    """A move has left no rows behind that could be archived."""
    if not database.strategy.two_copies:
        return None
    return backup.plan(database, options.directory, options.tools, options.drill, phase=Phase.FINALIZE_ARCHIVE)


def _agreed(plan: Plan) -> Plan:
    """Raises StepRefused where another sentence was typed: the one of the step before says what is done already."""
    earlier = (
        plan.step == DROP and plan.run.run and plan.consent == sentence(RETIRE, plan.database.name, plan.run.run.id)
    )
    if plan.consent and not (plan.agreed or earlier):
        raise StepRefused(
            f"{plan.database.name}: what was given is another sentence. {plan.loss.partition(': ')[2]}",
            hint=f"nothing was changed; {plan.next_step}",
            facts={"sentence": plan.sentence},
        )
    return plan


def apply(plan: Plan) -> Json:
    """Do it. Raises StepRefused without the sentence, BackupError, FenceError."""
    if plan.step == RETIRE and not plan.agreed:
        raise StepRefused(plan.loss, hint=plan.next_step, facts={"sentence": plan.sentence})
    if not plan.agreed:
        return {"msg": plan.msg}
    return _retire(plan) if plan.step == RETIRE else _drop(plan)


def _retire(plan: Plan) -> Json:
    database, options = plan.database, plan.options
    archived = backup.apply(plan.archive) if plan.archive else {}
    with recorded(
        database, Phase.FINALIZE, partial(conditions.require_archived, options.directory, plan.remains)
    ) as work:
        work.note(FinalizeResult(remains=plan.remains.as_result()))
        if archived:
            work.note(FinalizeResult(archive={key: archived[key] for key in ("directory", "dump_bytes", "seconds")}))
        work.keep()  # killed from here on, what is retired is still known by its identity
        _clear_target(database, options.timeout_seconds)
        _clear_source(database, options.timeout_seconds)
        pending = _retire_remains(database, plan.remains, options)
        work.note(FinalizeResult(pending=[step.statement for step in pending]))
        return {**work.result, "msg": _retired(database, plan.remains, pending)}


def _retired(database: Database, left: Remains, pending: Sequence[Step]) -> str:
    by_hand = [f"{step.statement};" for step in pending if not step.allowed]
    if left.kind == DATABASE:
        done = f"it is called {left.retired_as} and takes no connections"
        what = f"{left.words()} {'stays behind its closed fence' if by_hand else 'is retired: ' + done}"
    elif left.kind == TABLES:
        what = f"{left.words()}, stay behind their closed fence"
    else:
        what = f"of the source is left: {left.words()}"
    text = f"{database.name} is finalized, there is no rollback any more; {what}"
    if by_hand:
        text += f"\nThe runbook's role may not do the rest; as superuser on {database.source.host}: {' '.join(by_hand)}"
    return text


def _clear_target(database: Database, timeout_seconds: float) -> None:
    side = database.target_side
    with session(side.settings, "finalize") as conn:
        capture.remove(conn, side, timeout_seconds)
        trigger.remove(conn, side, timeout_seconds)


def _clear_source(database: Database, timeout_seconds: float) -> None:
    """The capture goes; the fence stays: whoever opens it again, by hand, cannot write there by mistake."""
    if not database.strategy.two_copies:
        return
    with suppress(ConnectionFailed), session(database.source, "finalize") as conn:
        capture.remove(conn, database.source_side, timeout_seconds)


def _retire_remains(database: Database, left: Remains, options: Options) -> tuple[Step, ...]:
    """Execute what our role may, in one transaction; what is left for a superuser."""
    place = left.place(database.source, options.maintenance_dbname)
    with session(place, "finalize") as conn:
        steps = remains.to_retire(conn, left)
        try:
            for each in steps:
                if each.allowed:
                    execute(conn, each.statement)
            conn.commit()
        except psycopg2.errors.ObjectInUse as error:
            conn.rollback()
            _, used = databases.sessions(conn, left.dbname)
            raise StepRefused(
                f"{database.name}: sessions use the source: {'; '.join(used[:10]) or 'they have ended meanwhile'}",
                hint="end them (SELECT pg_terminate_backend(pid)), then run the same command again: it goes on",
                facts={"sessions": used},
            ) from error
        return tuple(each for each in steps if not each.allowed)


def _drop(plan: Plan) -> Json:
    database, options, left = plan.database, plan.options, plan.remains
    by_hand = [f"{step.statement};" for step in plan.steps if not step.allowed]
    if by_hand:
        raise StepRefused(
            f"{database.name}: the runbook's role may not do what is left to do on the source",
            hint=f"as superuser on {database.source.host}: {' '.join(by_hand)} then run the same command again",
        )
    with recorded(
        database, Phase.FINALIZE_DROP, partial(conditions.require_droppable, options.directory, left)
    ) as work:
        _drop_remains(work, left, options)
        return {**work.result, "msg": f"{database.name}: {left.words()} was dropped"}


def _drop_remains(work: Work, left: Remains, options: Options) -> None:
    place = left.place(work.database.source, options.maintenance_dbname)
    with session(place, "finalize", autocommit=left.kind == DATABASE) as conn:  # DROP DATABASE stands alone
        execute(conn, f"SET lock_timeout = {int(options.timeout_seconds * 1000)}")
        steps = remains.to_drop(conn, left)
        for each in steps:
            execute(conn, each.statement)
        work.note(DropResult([each.statement for each in steps]))
