"""The change-over: the origin closes, the last round, the destination opens; all in this process, within a budget.

Until the opening is journalled the destination holds nothing of its own: whatever fails or takes too long, the origin
opens again here and now, and nothing is lost. From then on the only way is forward: whoever runs this again opens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.capture import state as capture
from consolidation.capture import trigger as capture_trigger
from consolidation.capture.memory import Memory
from consolidation.errors import ConsolidationError, FenceError, StepRefused, VerificationFailed, describe
from consolidation.fence import state as fence
from consolidation.fence import trigger as fence_trigger
from consolidation.fence.probe import probe
from consolidation.follow import sequences
from consolidation.follow.gate import Gate, Seen
from consolidation.follow.rounds import Follower, Round
from consolidation.follow.way import Way
from consolidation.journal.results import FenceResult, Tables
from consolidation.model import TARGET
from consolidation.postgres.connection import session
from consolidation.postgres.handover import End, sequences_handed_over
from consolidation.postgres.locks import SHARE_ROW_EXCLUSIVE, cancel_autovacuum, locked

LAST_ROUNDS = 10
"""Behind the closed fence the first round takes all and the second one finds nothing; a rewrite may ask for more."""
SWITCHABLE = (capture.PREPARED, capture.ON)


@dataclass(frozen=True)
class Options:
    """What the change-over is allowed."""

    gate: Gate = field(default_factory=Gate)
    pause_seconds: float = 0.2
    """Between two rounds before the fence."""
    lock_seconds: float = 10
    """For the fence: how long transactions that have written may keep it waiting."""
    budget_seconds: float = 10
    """From the first lock to the opening; over it, the origin is opened again."""
    settle_seconds: float = 0
    """Of a rollback, to do nothing after the opening: the services start then, and where they share the runner's
    machine, Ansible's next tasks would take the processors from them."""

    @classmethod
    def from_options(cls, given: Json) -> Options:
        """Build from the options of a module; those that it does not have keep their defaults."""
        gate = Gate(lag_seconds=given["lag_seconds"], tries=given["tries"])
        seconds = {**given, "lock_seconds": given.get("timeout_seconds")}
        names = ("pause_seconds", "lock_seconds", "budget_seconds", "settle_seconds")
        return cls(gate, **{name: seconds[name] for name in names if seconds.get(name) is not None})


@dataclass(frozen=True)
class Changed:
    """A change-over that was made."""

    closing_at: str
    closed_at: str
    opened_at: str
    outage_seconds: float
    """From the first lock on the origin to the opening of the destination."""
    rounds: int
    """Behind the fence."""
    keys: int
    rows: int
    fence_epoch: str
    """Of the origin's fence."""
    probes: list[dict[str, str]]
    sequences: tuple[str, ...]
    """Those that were set on the destination."""

    def as_result(self) -> FenceResult:
        """For the journal. Writers wait from the first lock on: that is when the outage begins."""
        return FenceResult(**{**asdict(self), "closed_at": self.closing_at, "probes": tuple(self.probes)})


def catch_up(follower: Follower, options: Options, heard: Callable[[Round], None] = lambda _: None) -> list[Seen]:
    """Rounds until the gate is met; what they were. Raises StepRefused where it is not, and as a round does."""
    seen: list[Seen] = []
    while not options.gate.is_met(seen):
        if options.gate.gives_up(seen):
            way = follower.way
            raise StepRefused(
                f"{way.database.name}: after {len(seen)} rounds the {way.destination.name} is still too far behind:"
                f" {options.gate.why(seen)}",
                hint="nothing was closed, and nothing is lost; run the same command again at a quieter time, or raise"
                " cutover_lag_seconds by what the outage may grow",
                facts={"rounds": [asdict(each) for each in seen[-10:]]},
            )
        if seen and seen[-1].complete:
            time.sleep(min(options.pause_seconds, 10 * seen[-1].seconds))  # it is for the load that rounds make
        done = follower.round()
        seen.append(Seen(done.seconds, done.keys, done.rows, done.complete))
        heard(done)
    return seen


def with_given_up(aborted: Tables, error: BaseException) -> Tables:
    """Change-overs that were given up, this one too where it has opened the origin again."""
    if not isinstance(error, ConsolidationError) or "reopened_at" not in error.facts:
        return aborted
    return (*aborted, {name: error.facts[name] for name in ("closing_at", "reopened_at")})


def change_over(follower: Follower, options: Options, opening: Callable[[FenceResult], None]) -> Changed:
    """Close the origin, bring the last keys over, open the destination.

    ``opening`` gets what there is to know just before the destination opens, and journals it: after it has returned,
    the destination may hold writes of its own. Raises FenceError, StepRefused, VerificationFailed, StatementFailed;
    before ``opening`` was called the origin is open again then, unless the error says that it is not.
    """
    way = follower.way
    with (
        session(way.origin.settings, "change-over") as origin,
        session(way.destination.settings, "change-over") as there,
        ExitStack() as held,
    ):
        for conn, side in ((origin, way.origin), (there, way.destination)):
            cancel_autovacuum(conn, fence.read(conn, side))
        started, closing_at = time.monotonic(), follower.memory.now()
        with _reopened_on_failure(follower, options, closing_at):
            follower.step("closing")
            tables = _require_prepared(follower, origin, there)
            if any(table.state != fence.CLOSED for table in tables):
                fence_trigger.enable(way.origin, tables, min(options.lock_seconds, options.budget_seconds))
            fence_epoch, closed_at = fence.epoch(fence.read(origin, way.origin)), follower.memory.now()
            origin.commit()
            follower.step("closed")
            follower.limit(_left(started, options))
            with ThreadPoolExecutor(2) as pool:
                probing = pool.submit(probe, way.origin)
                numbering = pool.submit(_advance, follower, there)
                rounds = _last_rounds(follower, started, options)
                probes, numbered = probing.result(), numbering.result()
            _require_closed_since(follower, origin, fence_epoch)
            held.enter_context(_sequences_handed_over(way, _left(started, options)))
            follower.step("before the opening")
        _journal(way, opening, FenceResult(closing_at, closed_at, fence_epoch=fence_epoch, probes=tuple(probes)))
        follower.step("opening")
        opened_at = open_destination(way, follower.memory, there, options.lock_seconds)
        follower.step("opened")
    outage = (datetime.fromisoformat(opened_at) - datetime.fromisoformat(closing_at)).total_seconds()
    keys, rows = sum(done.keys for done in rounds), sum(done.rows for done in rounds)
    return Changed(closing_at, closed_at, opened_at, outage, len(rounds), keys, rows, fence_epoch, probes, numbered)


def open_destination(way: Way, memory: Memory, destination: Connection, lock_seconds: float) -> str:
    """Open all its tables and have it note what changes from then on, in one transaction; when that was done.

    May be done again. What it notes belongs to the rollback, whose rounds begin here: both sides are equal now.
    """
    there = way.destination
    tables = fence.read(destination, there)
    # What is not prepared stays off: the opening must not fail any more, and its rollback is by content then.
    captured = [table for table in capture.read(destination, there) if way.to == TARGET and table.state in SWITCHABLE]
    if any(table.enabled for table in tables):
        with locked(destination, there.settings, tables, lock_seconds, SHARE_ROW_EXCLUSIVE):
            for table in tables:
                fence_trigger.disable(destination, table)
            capture_trigger.switch(destination, captured, on=True)
            if captured:
                on = [table for table in capture.read(destination, there) if table.state == capture.ON]
                marks = {table.name: table.mark for table in on}
                memory.opposite(destination).begin(marks)
    destination.commit()
    return memory.now()


def _require_prepared(follower: Follower, origin: Connection, destination: Connection) -> tuple[fence.Fenced, ...]:
    """The origin's fence, and the capture that the target is to open with, must be there. Raises StepRefused."""
    way = follower.way
    tables = fence.read(origin, way.origin)
    if not tables or any(table.state == fence.ABSENT for table in tables):
        raise StepRefused(
            f"{way.database.name}: the fence of the {way.origin.name} is not prepared for all its tables",
            hint="run the same command again: it prepares the fence before it closes anything",
        )
    captured = capture.read(destination, way.destination) if way.to == TARGET else ()
    destination.commit()
    if wrong := [table.name for table in captured if table.state not in SWITCHABLE]:
        raise StepRefused(
            f"{way.database.name}: the capture of the target is not prepared for {', '.join(wrong)}",
            hint="run the same command again: it prepares the capture before it closes anything",
        )
    return tables


@contextmanager
def _reopened_on_failure(follower: Follower, options: Options, closing_at: str) -> Iterator[None]:
    """Whatever goes wrong before the opening is journalled: the origin takes writes again."""
    side = follower.way.origin
    try:
        yield
    except BaseException as error:
        try:
            with session(side.settings, "change-over") as origin:  # the one before may be what went wrong
                reopened_at = fence_trigger.open_side(origin, side, options.lock_seconds)
        except ConsolidationError as failure:
            raise FenceError(
                f"{follower.way.database.name}: the change-over failed ({_first_line(error)}) and the {side.name} could"
                f" not be opened again: {failure.message}",
                hint="it refuses writes, nothing is lost; run the same command again as soon as it can be reached: it"
                " goes on, or opens it",
            ) from error
        if isinstance(error, ConsolidationError):
            error.message += f"; the {side.name} is open again since {reopened_at}, nothing is lost"
            error.facts.update(closing_at=closing_at, reopened_at=reopened_at)
        raise
    finally:
        with suppress(psycopg2.Error):
            follower.limit(0)


def _journal(way: Way, opening: Callable[[FenceResult], None], known: FenceResult) -> None:
    """Raises FenceError: it is unknown then whether it is in the journal, so nothing is opened."""
    try:
        opening(known)
    except (psycopg2.Error, ConsolidationError) as error:
        raise FenceError(
            f"{way.database.name}: whether the opening of the {way.destination.name} was journalled is not known"
            f" ({_first_line(error)}): neither side takes writes",
            hint="nothing is lost; run the same command again as soon as the storage database can be reached: it opens"
            " the side that the journal names",
        ) from error


def _first_line(error: BaseException) -> str:
    """Without row data."""
    if isinstance(error, psycopg2.Error):
        return describe(error)
    return error.message if isinstance(error, ConsolidationError) else type(error).__name__


def _left(started: float, options: Options) -> float:
    """Seconds of the budget. Raises FenceError where it is spent."""
    left = options.budget_seconds - (time.monotonic() - started)
    if left <= 0:
        raise FenceError(
            f"the change-over took longer than the {options.budget_seconds:g} s it is allowed",
            hint="run the same command again at a quieter time, or raise cutover_budget_seconds",
        )
    return left


def _last_rounds(follower: Follower, started: float, options: Options) -> list[Round]:
    """Rounds until one finds nothing. Raises VerificationFailed where there is always something."""
    rounds: list[Round] = []
    for _ in range(LAST_ROUNDS):
        _left(started, options)
        rounds.append(follower.round())
        follower.step("last round")
        if rounds[-1].idle:
            return rounds
    raise VerificationFailed(
        f"{follower.way.database.name}: rows still change behind the closed fence of the {follower.way.origin.name}",
        hint="find out who writes past the fence (a subscription's apply worker does), then run again",
    )


def _advance(follower: Follower, destination: Connection) -> tuple[str, ...]:
    with session(follower.way.origin.settings, "sequences") as origin:
        found = sequences.advance(follower.way, origin, destination)
    destination.commit()
    return found


def _sequences_handed_over(way: Way, seconds: float) -> AbstractContextManager[None]:
    """Nobody draws a number of the origin until the destination is open, with sequences that are not behind."""
    origin, destination = (End(side.settings, side.schema) for side in (way.origin, way.destination))
    return sequences_handed_over(origin, destination, max(seconds, 1.0), back=True)


def _require_closed_since(follower: Follower, origin: Connection, fence_epoch: str) -> None:
    """The origin's fence must be the one that was closed here, and no entry may have come since the last round."""
    way = follower.way
    tables = fence.read(origin, way.origin)
    origin.commit()
    if {table.state for table in tables} != {fence.CLOSED} or fence.epoch(tables) != fence_epoch:
        raise FenceError(
            f"{way.database.name}: the fence of the {way.origin.name} was lifted during the change-over",
            hint="find out by whom, then run the same command again",
        )
    if waiting := follower.waiting():
        raise VerificationFailed(
            f"{way.database.name}: rows have changed behind the closed fence: {', '.join(sorted(waiting))}",
            hint="find out who writes past the fence (a subscription's apply worker does), then run again",
        )
