"""The follow phase: rounds until the destination is close behind, and for as long as the operator holds the cutover."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from consolidation import files, text
from consolidation.borders import Json
from consolidation.capture import trigger as capture_trigger
from consolidation.capture.memory import Memory
from consolidation.errors import ConfigurationError, StepRefused
from consolidation.fence import state as fence
from consolidation.follow import changeover
from consolidation.follow.pace import Pace
from consolidation.follow.rounds import Follower, Round, following
from consolidation.follow.way import Way
from consolidation.journal import state
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import FollowResult, Phase
from consolidation.model import SOURCE, Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import value

HOLD_SECONDS = 0.2
"""The least pause between two rounds while no one waits for them."""


@dataclass(frozen=True)
class Options:
    """How to follow."""

    until: changeover.Options = field(default_factory=changeover.Options)
    hold: Path | None = None
    """File that is made at the beginning; rounds go on for as long as it is there."""
    log_bytes: int = 5 * 10**9
    """What the logs may hold, all together, before it is given up."""

    @classmethod
    def from_options(cls, given: Json) -> Options:
        """Build from the options of the module."""
        hold = Path(given["hold_file"]) if given["hold_file"] else None
        return cls(changeover.Options.from_options(given), hold, given["log_bytes"])


@dataclass(frozen=True)
class Plan:
    """What a following round would find."""

    database: Database
    to: str
    waiting: dict[str, int]
    """Table -> bytes of its log, of the tables whose log has entries."""
    skip_reason: str
    then: str = ""
    """What comes after the rounds."""

    @property
    def changed(self) -> bool:
        """Whether rounds are to run: a quiet origin is only known from one."""
        return not self.skip_reason

    def diff(self) -> dict[str, str]:
        """One line for each table that has noted keys."""
        lines = [*(f"{name}: {text.size(size)} of noted keys" for name, size in self.waiting.items()), self.then]
        lines = [self.skip_reason] if self.skip_reason else lines
        return {"prepared": "".join(f"{line}\n" for line in lines if line)}


def plan(database: Database, to: str) -> Plan:
    """Whether there is something to follow, and how much is noted. Raises StepRefused."""
    with session(database.target, "follow plan", autocommit=True) as target:
        run = state.read(target, database)
        skip_reason = run.skip_reason(_phase(to))
        if skip_reason or run.run is None:
            return Plan(database, to, {}, skip_reason)
        with following(Way(database, to), Memory(target, run.run, to)) as follower:
            return Plan(database, to, follower.waiting(), "")


def apply(plan: Plan, options: Options) -> Json:
    """Rounds until the gate is met, and the operator holds no longer.

    Raises StepRefused, VerificationFailed, and as a round does. Nothing is closed or opened.
    """
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    with recorded(plan.database, _phase(plan.to)) as work:
        _require_loaded(work, plan.database)
        if plan.to == SOURCE:
            _require_closed_since(work, plan.database)
            end_sources_capture(plan.database, options.until.lock_seconds)
        started = time.monotonic()
        with _follower(work, plan) as follower:
            heard = _Heard(work, follower, options)
            if options.hold:
                _hold(follower, options.hold, options.until.pause_seconds, heard)
            rounds = changeover.catch_up(follower, options.until, heard)
            figures = follower.memory.figures()
        last = tuple(asdict(seen) for seen in rounds[-10:])
        seconds = round(time.monotonic() - started, 3)
        found = FollowResult(plan.to, figures.rounds, figures.keys, figures.rows, rounds[-1].seconds, last, seconds)
        work.replace(found)
        return dict(work.result)


def end_sources_capture(database: Database, timeout_seconds: float) -> None:
    """The closed source notes nothing any more: what a rollback brings there is not to be noted."""
    with session(database.source, "capture") as source:
        capture_trigger.turn_off(source, database.source_side, timeout_seconds)


def _phase(to: str) -> Phase:
    return Phase.FOLLOW_BACK if to == SOURCE else Phase.FOLLOW


@contextmanager
def _follower(work: Work, plan: Plan) -> Iterator[Follower]:
    with following(Way(plan.database, plan.to), Memory(work.journal, work.run, plan.to)) as follower:
        yield follower


class _Heard:
    """Keeps what a round has done, for whoever looks meanwhile; stops where the logs grow too large."""

    def __init__(self, work: Work, follower: Follower, options: Options) -> None:
        self._work, self._follower, self._options = work, follower, options
        self._pace = Pace()

    def __call__(self, done: Round) -> None:
        waiting = self._follower.waiting()
        held = self._options.hold is not None and self._options.hold.exists()
        figures = self._pace.read(done, sum(waiting.values()))
        hold = str(self._options.hold) if held else ""
        self._work.note_progress({**done.as_progress(self._work.now()), **figures, "hold": hold})
        if figures["waiting_bytes"] > self._options.log_bytes:
            largest = sorted(waiting, key=lambda name: -waiting[name])
            sizes = ", ".join(f"{name} {text.size(waiting[name])}" for name in largest)
            raise StepRefused(
                f"{self._work.database.name}: the noted keys take {text.size(figures['waiting_bytes'])}, more than"
                f" follow_log_bytes allows ({sizes})",
                hint="nothing was closed and nothing is lost; run the same command again at a quieter time or with a"
                " larger limit, or roll the run back with rollback.yml, which removes the capture",
            )


def _hold(follower: Follower, path: Path, pause_seconds: float, heard: Callable[[Round], None]) -> None:
    """Rounds for as long as the file is there. Raises ConfigurationError where it cannot be made."""
    try:
        files.make(path.parent)
        files.write(path, f"The cutover of {follower.way.database.name} begins when this file is removed.\n")
    except OSError as error:
        raise ConfigurationError(
            f"cannot write the hold file {path}: {error.strerror}",
            hint="check space, owner and permissions of its folder on the runner",
        ) from error
    while path.exists():
        heard(follower.round())
        time.sleep(max(pause_seconds, HOLD_SECONDS))


def _require_loaded(work: Work, database: Database) -> None:
    """Rounds bring what has changed since the copy, not what it has not loaded yet."""
    statement = "SELECT count(*) FROM consolidation.table_load WHERE run_id = %s AND database = %s AND state <> 'done'"
    if waiting := value(work.journal, statement, [work.run.id, database.name]):
        raise StepRefused(
            f"{database.name}: the copy of {waiting} table(s) is not complete",
            hint="run the copy again: it resumes with the chunks that are not done",
        )


def _require_closed_since(work: Work, database: Database) -> None:
    """Nobody may have written to the source since this run has closed it: rounds would overwrite that."""
    with session(database.source, "follow fence") as source:
        fence.require_unbroken(source, database, work.state)
