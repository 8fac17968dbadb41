"""Killed anywhere, again: a fault within every step of both modes, under writers that know what was acknowledged.

Then the same command ends as if nothing had happened, or a rollback instead loses nothing. The steps are those phases
that go ahead by the decision table (``docs/states.md``). `make kill-matrix` strikes everywhere; here is a sample.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count as counter
from pathlib import Path
from typing import Any

import pytest

from consolidation.capture.state import CHANGED, INSERTED, MOVED
from consolidation.cutover import online
from consolidation.errors import ConsolidationError, StepRefused
from consolidation.follow.rounds import following
from consolidation.journal.decisions import Go, table
from consolidation.journal.results import Phase
from consolidation.modes.copy import COPY
from consolidation.modes.online import ONLINE
from consolidation.modes.strategy import Strategy
from tests import killing, rereading
from tests.acknowledged import Acknowledged, Place
from tests.cluster import BEHIND_THE_FENCE, Database
from tests.following import Online
from tests.killing import FAULTS, KILL, ORPHAN, Command, Fault
from tests.window import Window

LONG = os.environ.get("KILL_MATRIX") == "long"
FAULTS_WANTED = 200
"""At least so many in the long form."""
SHARES = (0.4, 0.75, 0.999, 1.0)
MODES = {mode.wanted: mode for mode in (COPY, ONLINE)}
ELSEWHERE = {
    Phase.BACKUP: "backup/test_backup.py",
    Phase.REPAIR: "journal/test_same_command_again.py",
    Phase.CUTOVER_SERVICES: "services/test_services_role.py, playbooks/test_playbooks_services.py",
    Phase.ROLLBACK_SERVICES: "services/test_service_proof.py, playbooks/test_playbooks_services.py",
    Phase.ROLLBACK_RESTORE: "backup/test_restore.py",
    Phase.FINALIZE_ARCHIVE: "finalize/test_finalize.py",
    Phase.FINALIZE: "finalize/test_finalize.py",
    Phase.FINALIZE_DROP: "finalize/test_finalize.py",
    Phase.RESOLVE: "rollback/test_resolve.py",
}
"""Phases that are killed in tests of their own: they need programs, services, or sides that disagree."""
BY_CONTENT = "ALTER TABLE campaign_db.campaigns DISABLE TRIGGER zz_consolidation_capture_change"
"""The noted keys do not name everything any more: the rollback compares the content."""

AT_ITS_FENCE = Fault(KILL, Phase.ROLLBACK_FENCE, 1)
"""From there on a rollback can be cancelled."""

Play = Callable[[Command], None]


@dataclass
class Matrix:
    """What was injected and what came of it, over all tests."""

    faults: Counter[str] = field(default_factory=Counter)
    damage: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    undisturbed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Mode and command -> how it ends."""
    counted: dict[str, dict[str, int]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    matrix = Matrix()
    yield matrix
    figures = {"injected": dict(matrix.faults), "acknowledged": matrix.acknowledged, "damaged": dict(matrix.damage)}
    print(f"\n{sum(matrix.faults.values())} faults: {json.dumps(figures)}")  # noqa: T201 - what the matrix is for


@dataclass
class Night:
    """A database under writers, and the commands that are given while things go wrong."""

    window: Window
    writers: Acknowledged
    matrix: Matrix
    said: list[str] = field(default_factory=list)

    def give(self, name: str, play: Play, fault: Fault | None = None) -> None:
        counted = self.matrix.counted[self._key(name)]
        self.said.append(f"{name}, {fault}: {killing.give(self.window, play, counted, fault)}")
        if fault:
            self.matrix.faults[fault.kind] += 1

    def steps(self, name: str) -> list[str]:
        """Those that say anything."""
        return [step for step, said in self.matrix.counted[self._key(name)].items() if said]

    def undisturbed(self, name: str, play: Play) -> None:
        """Give the command, and remember how it ends."""
        self.matrix.counted[self._key(name)] = killing.count(self.window, play)
        self.matrix.undisturbed[self._key(name)] = killing.ending(self.window)

    def ends_as_undisturbed(self, name: str, side: int) -> None:
        """Run and sides are as an undisturbed command leaves them; nothing that was acknowledged is amiss."""
        assert killing.ending(self.window) == self.matrix.undisturbed[self._key(name)], self.said
        assert self.writers.are_taken(), self.said
        damage = self.writers.damage(self.writers.places[side])
        self.matrix.damage += damage
        assert not damage, (damage, self.said)
        self.said.clear()

    def _key(self, name: str) -> str:
        return f"{self.window.mode} {name}"


@pytest.fixture
def places(campaign: Database, target: Database) -> Iterator[tuple[Place, Place]]:
    """A crash loses nothing that was acknowledged: not what the fixtures' servers promise."""
    for each in (campaign, target):
        with each.connection() as conn:
            conn.autocommit = True
            conn.cursor().execute("ALTER SYSTEM SET synchronous_commit = on")
            conn.cursor().execute("SELECT pg_reload_conf()")
    yield Place(campaign, "campaign_app", "public"), Place(target, "storage_service", "campaign_db")
    for each in (campaign, target):
        with each.connection() as conn:
            conn.autocommit = True
            conn.cursor().execute("ALTER SYSTEM RESET synchronous_commit")
            conn.cursor().execute("SELECT pg_reload_conf()")


@pytest.fixture
def night(
    places: tuple[Place, Place],
    matrix: Matrix,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Night]:
    rereading.allow(monkeypatch)
    window = Window(places[0].database, places[1].database, mode=request.param, readers=1)
    night = Night(window, Acknowledged(places, tmp_path), matrix)
    with night.writers.writing():
        if night._key("cancel") not in matrix.counted:
            _undisturbed(night)
        yield night
    matrix.acknowledged += night.writers.done()


ROLLBACKS = ("rollback before the cutover", "rollback", "rollback by content")


def _undisturbed(night: Night) -> None:
    """Every command of both modes once, to be compared with."""
    before, by_keys, by_content = ROLLBACKS
    night.undisturbed("migrate", killing.migrate)
    night.ends_as_undisturbed("migrate", 1)
    night.undisturbed("follow", killing.follow_back)
    night.undisturbed(by_keys, killing.rollback)
    night.ends_as_undisturbed(by_keys, 0)
    night.give("migrate", killing.migrate, Fault(KILL, Phase.VERIFY, 0.5))
    night.undisturbed(before, killing.rollback)
    night.ends_as_undisturbed(before, 0)
    night.give("migrate", killing.migrate)
    night.window.target.execute(BY_CONTENT)
    night.undisturbed(by_content, killing.rollback)
    night.ends_as_undisturbed(by_content, 0)
    night.give("migrate", killing.migrate)
    night.window.target.execute(BY_CONTENT)
    night.give(by_content, killing.rollback, AT_ITS_FENCE)
    night.undisturbed("cancel", killing.cancel_rollback)
    night.ends_as_undisturbed("cancel", 1)
    night.give("rollback", killing.rollback)


def goes_ahead(phase: Phase, mode: Strategy) -> bool:
    """Whether any state has it go ahead."""
    return any(isinstance(decision, Go) for decision in table(mode)[phase].values())


def migrating(mode: str) -> list[Phase]:
    """The phases of migrate.yml, in their order."""
    order = list(Phase)[: list(Phase).index(Phase.FOLLOW_BACK)]
    online = mode == "online"
    # There the cutover closes the source, as its phase fence.
    left_out = {*ELSEWHERE, *({Phase.FENCE} if online else ())}
    return [phase for phase in order if phase not in left_out and goes_ahead(phase, MODES[mode])]


both_modes = pytest.mark.parametrize("night", MODES, indirect=True)


@both_modes
def test_every_phase_is_struck(night: Night) -> None:
    """A phase that is new, or goes ahead where it did not, is to be in this matrix."""
    mode = MODES[night.window.mode]
    struck = {step for name in ("migrate", "follow", "cancel", *ROLLBACKS) for step in night.steps(name)}
    struck |= {Phase.FENCE} if mode.follows else set()  # within the cutover
    assert {phase for phase in Phase if goes_ahead(phase, mode)} - struck == {
        phase for phase in ELSEWHERE if goes_ahead(phase, mode)
    }


numbers = counter()


def faults_of(kind: str, steps: list[str], share: float) -> list[Fault]:
    """One for each step; kind '': another one each time."""
    found = []
    for step in steps:
        number = next(numbers)
        chosen = kind or FAULTS[number % len(FAULTS)]
        found.append(Fault(chosen, step, share if kind else SHARES[number * 2 % len(SHARES)]))
    return found


EVERY = [(kind, share) for kind in FAULTS for share in SHARES if kind != ORPHAN or share == SHARES[0]]
SOME = [(kind, share) for kind, share in EVERY if share in SHARES[::2]]
WALKS = EVERY if LONG else [("", 0.0)]


@both_modes
@pytest.mark.parametrize(("kind", "share"), WALKS)
def test_the_same_command_again(night: Night, kind: str, share: float) -> None:
    """There and back; each time the command is given again it comes one step further."""
    for name, play, side in (
        ("migrate", killing.migrate, 1),
        ("follow", killing.follow_back, 1),
        ("rollback", killing.rollback, 0),
    ):
        for fault in faults_of(kind, night.steps(name), share):
            night.give(name, play, fault)
        night.give(name, play)
        if name != "follow":
            night.ends_as_undisturbed(name, side)


@both_modes
@pytest.mark.skipif(not LONG, reason="make kill-matrix")
@pytest.mark.parametrize(("kind", "share"), SOME)
def test_the_same_command_again_before_and_by_content(night: Night, kind: str, share: float) -> None:
    """The other two ways that a rollback has."""
    before, _, by_content = ROLLBACKS
    night.give("migrate", killing.migrate, Fault(KILL, Phase.VERIFY, 1))
    for fault in faults_of(kind, night.steps(before), share):
        night.give(before, killing.rollback, fault)
    night.give(before, killing.rollback)
    night.ends_as_undisturbed(before, 0)
    night.give("migrate", killing.migrate)
    night.window.target.execute(BY_CONTENT)
    night.give(by_content, killing.rollback, AT_ITS_FENCE)
    for fault in faults_of(kind, night.steps("cancel"), share):
        night.give("cancel", killing.cancel_rollback, fault)
    night.give("cancel", killing.cancel_rollback)
    night.ends_as_undisturbed("cancel", 1)
    for fault in faults_of(kind, night.steps(by_content), share):
        night.give(by_content, killing.rollback, fault)
    night.give(by_content, killing.rollback)
    night.ends_as_undisturbed(by_content, 0)


INSTEAD = SOME if LONG else [("", 0.0)]


@both_modes
@pytest.mark.parametrize(("kind", "share"), INSTEAD)
def test_rollback_instead(night: Night, kind: str, share: float) -> None:
    """After a fault in each phase of migrate.yml; and the next run finds nothing in its way."""
    mode = night.window.mode
    steps = migrating(mode) if LONG else [Phase.COPY, Phase.CUTOVER]
    for fault in faults_of(kind, [step for step in steps if step in night.steps("migrate")], share):
        night.give("migrate", killing.migrate, fault)
        opened = night.window.state().authoritative == "target"
        night.give("rollback", killing.rollback)
        night.ends_as_undisturbed(ROLLBACKS[1] if opened else ROLLBACKS[0], 0)


def _closing(window: Window) -> None:
    """The last write before the fence, so that there is a noted key behind it."""
    write = (
        "UPDATE campaigns SET description = 'last' WHERE id = (SELECT id FROM campaigns WHERE name LIKE 'w %' LIMIT 1)"
    )
    window.source.execute(write, user="campaign_app")


def no_fence(window: Window) -> None:
    window.source.execute("ALTER TABLE campaigns DISABLE TRIGGER aa_consolidation_fence")


def log_deleted(window: Window) -> None:
    logs = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'consolidation'::regnamespace AND relname LIKE 'changed_%%'"
    )
    for (name,) in window.source.rows(logs, []):
        window.source.execute(f"DELETE FROM consolidation.{name}")


def target_changed(window: Window) -> None:
    window.target.execute(f"{BEHIND_THE_FENCE}; UPDATE campaign_db.chapters SET title = title || '!'")


CONTROLS = {no_fence: "was lifted|does not hold", log_deleted: "different", target_changed: "different"}
"""What is done behind the closed source's back, before its last round -> how the product reports it."""


@pytest.mark.parametrize("night", ["online"], indirect=True)
@pytest.mark.parametrize("damage", CONTROLS)
def test_what_is_done_behind_its_back_is_reported(
    night: Night, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Window], None]
) -> None:
    """Negative controls: a matrix that finds nothing must be one that would."""
    window = night.window
    steps: dict[str, Callable[[Window], None]] = {"closing": _closing, "closed": damage}
    step = lambda name: steps.get(name, lambda _: None)(window)  # noqa: E731 - one line
    monkeypatch.setattr(online, "following", lambda way, memory: following(way, memory, step))
    with pytest.raises(ConsolidationError, match=CONTROLS[damage]):
        night.give("migrate", killing.migrate)
    assert night.writers.are_taken()
    if damage == no_fence:
        assert not night.writers.damage(night.writers.places[0]), "the source is authoritative, and has everything"
    else:
        assert window.phases()[Phase.PROOF].state == "failed"


@pytest.mark.parametrize("night", ["online"], indirect=True)
def test_a_capture_that_was_off_for_a_second_brings_the_tables_whole(night: Night) -> None:
    """Its seal shows it; nothing of what was written meanwhile is lost."""
    window = night.window
    night.give("migrate", killing.migrate, Fault(KILL, Phase.CUTOVER, 0.0))
    for word in ("DISABLE", "ENABLE ALWAYS"):
        triggers = ", ".join(f"{word} TRIGGER {name}" for name in (INSERTED, CHANGED, MOVED))
        window.source.execute(f"ALTER TABLE campaigns {triggers}")
        assert night.writers.are_taken()
    with Online(window).follower() as follower:
        assert "campaigns" in follower.round().whole
    night.give("migrate", killing.migrate)
    night.ends_as_undisturbed("migrate", 1)


@pytest.mark.parametrize("night", ["window"], indirect=True)
def test_a_fence_that_was_open_for_a_second_stops_the_cutover(night: Night) -> None:
    """What was written meanwhile is on the source alone: it stays authoritative."""
    window = night.window
    night.give("migrate", killing.migrate, Fault(KILL, Phase.CUTOVER, 0.0))
    window.lift()
    assert night.writers.are_taken()
    window.shut("source")
    with pytest.raises(StepRefused, match=r"not of this copy behind this closing|was lifted|opened"):
        window.cutover()
    night.give("rollback", killing.rollback)
    night.ends_as_undisturbed(ROLLBACKS[0], 0)


@pytest.mark.skipif(not LONG, reason="make kill-matrix")
def test_so_many_faults_were_injected(matrix: Matrix) -> None:
    assert sum(matrix.faults.values()) >= FAULTS_WANTED
    assert not matrix.damage
