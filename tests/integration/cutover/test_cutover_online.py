"""A run in mode online, phase by phase: written until the cutover, and cut off before and after every step of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest

from consolidation.capture import state as capture
from consolidation.copy import undo
from consolidation.cutover import online
from consolidation.errors import ConsolidationError, FenceError, StepRefused, VerificationFailed
from consolidation.fence import sides
from consolidation.follow import changeover
from consolidation.follow.changeover import Options
from consolidation.follow.rounds import following
from consolidation.journal import records
from consolidation.journal.decisions import Standing
from consolidation.postgres.connection import session
from consolidation.rollback import cancel, reconcile, trial
from consolidation.rollback import changeover as back
from tests.cluster import BEHIND_THE_FENCE, Cluster, Database
from tests.following import Online
from tests.integration.follow.test_follow import same
from tests.window import QUICK, Window

INSERT = (
    "INSERT INTO {0}campaigns (id, name, creator_id, owner_id)"
    " SELECT gen_random_uuid(), '{1}', creator_id, owner_id FROM {0}campaigns LIMIT 1"
)


@pytest.fixture
def window(cluster: Cluster, campaign: Database, target: Database) -> Window:
    window = Window(campaign, target, mode="online")

    def prepared() -> None:
        window.begin()
        window.schema()
        window.fence("source", "prepared", "fence_prepare")

    cluster.prepared("online_fence_prepared", (campaign, target), prepared)
    return window


def written(window: Window, what: str = "new") -> None:
    """As the service does, wherever it may."""
    try:
        window.source.execute(INSERT.format("", what), user="campaign_app")
    except psycopg2.errors.ReadOnlySqlTransaction:
        window.target.execute(INSERT.format("campaign_db.", what), user="storage_service")


def followed(window: Window) -> Window:
    """All that comes before the cutover, with writes between the phases."""
    for phase in (window.capture, window.copy, window.follow, window.verify):
        written(window)
        phase()
    written(window)
    return window


def no_conflict(window: Window) -> bool:
    return sides.check(window.database)[2] == ""


@pytest.mark.every_pair
def test_written_until_the_cutover(window: Window) -> None:
    assert "the cutover" in window.fence("source", "closed")["msg"], "migrate.yml comes by it"
    followed(window)
    assert window.state().authoritative == "source"
    verified = window.phases()["verify"].finished_at
    result = window.cutover()
    assert same(Online(window))
    assert result["outage_seconds"] < 5
    assert window.phases()["verify"].finished_at == verified, "the change-over adds to it, but it took no longer"
    state = window.state()
    assert (state.standing, state.verified, no_conflict(window)) == (Standing.OPENED, True, True)
    assert state.phases["fence"].result["closed_at"] == result["closed_at"] < result["opened_at"]
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.source.execute(INSERT.format("", "late"), user="campaign_app")
    window.target.execute(INSERT.format("campaign_db.", "after"), user="storage_service")
    with session(window.database.target, "test") as conn:
        tables = capture.read(conn, window.database.target_side)
        assert {table.state for table in tables} == {capture.ON}
        assert capture.with_entries(conn, tables) == {"campaigns"}, "noted for the way back"
    assert state.phases["cutover"].attempts == 1
    assert window.cutover()["opened_at"] == result["opened_at"]
    window.end(records.MIGRATED)
    assert "already" in window.cutover()["msg"]


def test_refused_before_each_of_its_conditions(window: Window) -> None:
    for phase in ("capture", "copy", "follow", "verify"):
        with pytest.raises(StepRefused, match=f"phase {phase} is not done"):
            window.cutover()
        getattr(window, phase)()
    window.target.execute("ALTER TABLE campaign_db.campaigns DISABLE TRIGGER aa_consolidation_fence")
    window.target.execute("ALTER TABLE campaign_db.campaigns ENABLE ALWAYS TRIGGER aa_consolidation_fence")
    with pytest.raises(StepRefused, match="opened or altered after it was verified"):
        window.cutover()
    assert not {"cutover"} & window.phases().keys(), "what was refused must not look like a target that was open"
    written(window)
    window.verify()
    window.cutover()


def test_the_mode_stays_what_it_was(window: Window) -> None:
    window.capture()
    window.mode = "window"
    with pytest.raises(StepRefused, match="begun in mode online"):
        window.begin()
    window.begin(records.ROLLING_BACK)


def test_over_the_budget_the_run_stands_where_it_was(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    followed(window)
    with pytest.raises(FenceError, match="open again since"):
        window.cutover(Options(QUICK.gate, budget_seconds=0))
    state = window.state()
    assert (state.standing, state.writes_refused, no_conflict(window)) == (Standing.MIGRATING, False, True)
    assert len(state.phases["fence"].result["aborted"]) == 1
    written(window)
    window.cutover()
    assert same(Online(window))


def test_the_opening_fails_after_it_was_journalled_and_the_same_command_again(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closing keeps its identity: the target is authoritative, and what was verified is of this closing."""
    followed(window)
    with monkeypatch.context() as patched:
        patched.setattr(changeover, "open_destination", refuse)
        with pytest.raises(FenceError, match="cannot be locked"):
            window.cutover()
    state = window.state()
    assert (state.standing, state.verified, state.fence.closing_at) == (Standing.OPENED, True, None)
    window.cutover()
    assert same(Online(window))
    assert no_conflict(window)


def refuse(*_: object) -> str:
    raise FenceError("cannot be locked", hint="again")


BEFORE_THE_OPENING = ("closing", "closed", "last round", "before the opening", "journalling")


def test_killed_before_the_opening_and_the_same_command_again(window: Window) -> None:
    followed(window)
    for step in BEFORE_THE_OPENING:
        assert killed_at(window, step) == 9, step
        assert (window.state().authoritative, no_conflict(window)) == ("source", True), step
        assert window.state().writes_refused, step
        window.begin()
        window.fence("source", "open", "fence_reopen")
        written(window, step)
        assert not window.state().writes_refused, step
    for phase in (window.capture, window.copy, window.follow, window.verify, window.cutover):
        phase()
    check_opened(window)
    assert window.source.value("SELECT count(*) FROM campaigns WHERE name = ANY (%s)", [list(BEFORE_THE_OPENING)]) == 5


@pytest.mark.parametrize("step", ["opening", "opened"])
def test_killed_at_the_opening_and_the_same_command_again(window: Window, step: str) -> None:
    followed(window)
    assert killed_at(window, step) == 9
    assert (window.state().authoritative, no_conflict(window)) == ("target", True)
    window.begin()
    assert "msg" in window.fence("source", "open", "fence_reopen")
    for phase in (window.capture, window.copy, window.follow, window.verify):
        assert "msg" in phase()
    window.cutover()
    check_opened(window)


def check_opened(window: Window) -> None:
    assert same(Online(window))
    assert (window.state().standing, window.state().verified) == (Standing.OPENED, True)
    written(window)
    assert no_conflict(window)


@pytest.mark.parametrize("mode", ["online", "window"])
def test_back_by_keys_while_the_target_is_written(campaign: Database, target: Database, mode: str) -> None:
    """After a cutover of either mode."""
    window = opened(campaign, target, mode)
    written(window, "on the target")
    window.end(records.MIGRATED)
    window.begin(records.ROLLING_BACK)
    result = window.change_back()
    assert same(Online(window))
    assert result["outage_seconds"] < 5
    assert (window.state().standing, no_conflict(window)) == (Standing.RECONCILED, True)
    written(window, "on the source")
    assert window.source.value("SELECT count(*) FROM campaigns WHERE name LIKE 'on the %%'") == 2
    for side in ("source", "target"):
        window.capture(side, "absent")
        assert {table.state for table in Online(window).captured(window.database.side(side))} == {capture.ABSENT}
    window.end(records.ROLLED_BACK)
    assert "msg" in window.change_back()


def opened(source: Database, target: Database, mode: str) -> Window:
    window = prepared(source, target, mode)
    window.cutover()
    return window


def prepared(source: Database, target: Database, mode: str) -> Window:
    """Up to the cutover."""
    window = Window(source, target, mode=mode)
    window.begin()
    window.schema()
    window.fence("source", "prepared", "fence_prepare")
    if mode == "window":
        window.fence("source", "closed")
        window.copy()
        window.verify()
    else:
        followed(window)
    return window


def test_rolled_back_before_the_cutover_and_migrated_by_the_next_run(window: Window) -> None:
    followed(window)
    window.begin(records.ROLLING_BACK)
    window.fence("source", "open", "rollback_open")
    assert "msg" in window.change_back()
    window.fence("target", "closed", "rollback_fence")
    undo.apply(undo.plan(window.database), 10)
    for side in ("source", "target"):
        window.capture(side, "absent")
        assert {table.state for table in Online(window).captured(window.database.side(side))} == {capture.ABSENT}
    window.end(records.ROLLED_BACK)
    written(window, "between")
    window.control["started"] = "later"
    window.begin()
    window.schema()
    window.fence("source", "prepared", "fence_prepare")
    followed(window)
    window.cutover()
    check_opened(window)


def test_back_by_content_where_the_keys_do_not_tell(campaign: Database, target: Database) -> None:
    window = opened(campaign, target, "online")
    target.execute("ALTER TABLE campaign_db.campaigns DISABLE TRIGGER zz_consolidation_capture_change")
    window.begin(records.ROLLING_BACK)
    assert "by content" in window.change_back()["msg"]
    assert window.state().standing == Standing.BRINGING_BACK


def test_the_rollback_is_tried_and_done_by_content_while_the_source_still_notes(
    campaign: Database, target: Database
) -> None:
    """Cut off between the opening and the proof, which ends that."""
    window = opened(campaign, target, "online")
    written(window)
    target.execute("ALTER TABLE campaign_db.campaigns DISABLE TRIGGER zz_consolidation_capture_change")
    assert trial.look(window.database)
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    reconcile.apply(reconcile.plan(window.database, "source"))
    assert window.state().standing == Standing.RECONCILED


def test_over_the_budget_the_target_opens_again(campaign: Database, target: Database) -> None:
    window = opened(campaign, target, "online")
    window.begin(records.ROLLING_BACK)
    with pytest.raises(FenceError, match="open again since"):
        window.change_back(Options(QUICK.gate, budget_seconds=0))
    target.execute(INSERT.format("campaign_db.", "kept"), user="storage_service")
    assert no_conflict(window)
    assert len(window.phases()["rollback_fence"].result["aborted"]) == 1
    window.change_back()
    assert same(Online(window))


BACK = {"closed": False, "last round": False, "journalling": False, "opening": True, "opened": True}


def test_killed_in_a_rollback_and_the_same_command_again(campaign: Database, target: Database) -> None:
    window = opened(campaign, target, "online")
    written(window, "noted")
    for step, reconciled in BACK.items():
        window.begin(records.ROLLING_BACK)
        assert killed_at(window, step, window.change_back, back) == 9, step
        assert (window.state().reconciled, no_conflict(window)) == (reconciled, True), step
        if reconciled:
            break
    assert same(Online(window))
    finish_back(window)


def test_open_and_noted_still_and_the_same_command_again(
    campaign: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source is open, and the services are not told."""
    window = opened(campaign, target, "online")
    written(window, "noted")
    window.begin(records.ROLLING_BACK)
    turn_off = back.capture_trigger.turn_off

    def fail(conn: Any, side: Any, seconds: float) -> None:
        if side.name == "target":
            raise FenceError("a lock was not to be had")
        turn_off(conn, side, seconds)

    monkeypatch.setattr(back.capture_trigger, "turn_off", fail)
    with pytest.raises(FenceError, match="not to be had"):
        window.change_back()
    written(window, "on the source")
    assert (window.state().standing, no_conflict(window)) == (Standing.RECONCILED, True)
    with pytest.raises(StepRefused, match="the source is open"):
        cancel.plan(window.database)
    finish_back(window)


def finish_back(window: Window) -> None:
    """What follows in the rollback where the change-over is in the journal already."""
    window.begin(records.ROLLING_BACK)
    assert "msg" in window.change_back()
    window.fence("target", "closed", "rollback_fence")
    planned = reconcile.plan(window.database, "source")
    assert planned.skip_reason, "behind the same closing nothing is compared again"
    window.fence("source", "open", "rollback_open")
    written(window, "after")


def test_leaves_the_machine_to_the_services_after_the_opening(
    campaign: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the rollback does itself is done and in the journal by then."""
    seconds, found = 0.123, []
    window, sleep = opened(campaign, target, "online"), time.sleep
    monkeypatch.setattr(
        time,
        "sleep",
        lambda given: found.append(window.phases()["rollback_open"].state) if given == seconds else sleep(given),
    )
    window.begin(records.ROLLING_BACK)
    window.change_back(Options(QUICK.gate, settle_seconds=seconds))
    assert found == ["done"]


def test_the_proof(campaign: Database, target: Database) -> None:
    """Rows that the target has changed since are left out, any other difference is found."""
    window = opened(campaign, target, "online")
    written(window)
    target.execute("UPDATE campaign_db.campaigns SET name = 'since' WHERE name <> 'since'", user="storage_service")
    one = "(SELECT id FROM public.chapters ORDER BY id LIMIT 1)"
    lost = f"UPDATE public.chapters SET sequence_number = sequence_number + {{}} WHERE id = {one}"
    campaign.execute(f"{BEHIND_THE_FENCE}; {lost.format(1)}")
    with pytest.raises(VerificationFailed, match="table chapters different"):
        window.prove()
    assert (window.phases()["proof"].state, window.state().proved) == ("failed", False)
    campaign.execute(f"{BEHIND_THE_FENCE}; {lost.format(-1)}")
    assert window.prove()["outcome"] == "equal"
    assert window.state().proved
    assert "proved already" in window.prove()["msg"]
    assert target.value("SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'f'")


def test_in_a_window_the_verification_behind_the_closed_fence_is_the_proof(
    campaign: Database, target: Database
) -> None:
    window = opened(campaign, target, "window")
    assert "is the proof" in window.prove()["msg"]
    assert "proof" not in window.phases()
    assert window.state().proved
    target.execute(
        "UPDATE consolidation.phase SET result = result || '{\"fence_epoch\": \"other\"}' WHERE name = 'verify'"
    )
    assert not window.state().proved, "of another closing of the fence"


@contextmanager
def stopping(wanted: str, of: Any) -> Iterator[None]:
    """The change-over ends without a word at a step."""

    def step(name: str) -> None:
        if name == wanted:
            os._exit(9)

    def journal(*given: Any) -> None:
        step("journalling")
        original(*given)

    original, of._journal = of._journal, journal
    of.following = lambda way, memory: following(way, memory, step)
    yield


def killed_at(window: Window, step: str, change: Callable[[], Any] | None = None, of: Any = online) -> int:
    child = os.fork()
    if not child:
        try:
            with stopping(step, of):
                (change or window.cutover)()
        except ConsolidationError:
            os._exit(1)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
