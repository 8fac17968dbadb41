from __future__ import annotations

from typing import Any

import pytest

from consolidation.report import commands, outage, outcome
from tests.report_facts import at, database, with_services

COMMANDS = {"migrate": "MIGRATE", "rollback": "ROLLBACK"}


@pytest.mark.parametrize(
    ("state", "last", "more", "kind", "sentence"),
    [
        ("migrated", "cutover", {}, "migrated", "campaign_db migrated."),
        ("rolled_back", "rollback_open", {}, "rolled back", "campaign_db rolled back."),
        ("migrating", "copy", {"phase_state": "failed"}, "failed", "campaign_db failed in phase copy."),
        ("migrating", "copy", {"phase_state": "running"}, "interrupted", "campaign_db interrupted in phase copy."),
        (
            "migrating",
            "copy",
            {"phase_state": "running", "active": True},
            "running",
            "campaign_db running in phase copy.",
        ),
        # All phases done is not migrated: only the state of the run says so.
        ("migrating", "cutover", {}, "unfinished", "campaign_db not finished, last phase done: cutover."),
        (
            "rolling_back",
            "rollback_fence",
            {"phase_state": "failed"},
            "failed",
            "campaign_db failed in phase rollback_fence.",
        ),
    ],
)
def test_outcome(state: str, last: str, more: dict[str, Any], kind: str, sentence: str) -> None:
    found = outcome.outcome(database(state=state, last=last, **more))
    assert found.kind == kind
    assert outcome.verdict([found]) == (kind, sentence)


def test_the_worst_database_decides_and_comes_first() -> None:
    good = outcome.outcome(database("campaign_db"))
    bad = outcome.outcome(database("image_db", "migrating", "verify", phase_state="failed", error="3 rows are missing"))
    assert outcome.verdict([good, bad]) == ("failed", "image_db failed in phase verify; campaign_db migrated.")
    assert bad.error == "3 rows are missing"


def steps(*databases: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The commands that go on, and those that roll back."""
    outcomes = [outcome.outcome(each) for each in databases]
    inventory = ["campaign_db", "image_db"]
    on = [found.command for found in commands.next_steps(outcomes, COMMANDS, inventory)]
    return on, [found.command for found in commands.rollbacks(outcomes, COMMANDS, inventory)]


FAILED = database("image_db", "migrating", "fence", phase_state="failed")
BACK = database("campaign_db", "rolled_back", "rollback_open")
GOING_BACK = database("campaign_db", "rolling_back", "reconcile", phase_state="running")


@pytest.mark.parametrize(
    ("databases", "on", "back"),
    [
        ([database(), database("image_db")], [], ["ROLLBACK"]),
        ([database("image_db")], [], ["ROLLBACK --limit image_db"]),
        # The rollback of one that failed must not reach the one that was migrated.
        (
            [database(), FAILED],
            ["MIGRATE --limit image_db"],
            ["ROLLBACK --limit image_db", "ROLLBACK --limit campaign_db"],
        ),
        # What was rolled back is no matter of this run any more: a later one may have migrated it.
        ([BACK, database("image_db")], [], ["ROLLBACK --limit image_db"]),
        ([BACK, database("image_db", "rolled_back", "rollback_open")], [], []),
        (
            [GOING_BACK, FAILED],
            ["ROLLBACK --limit campaign_db", "MIGRATE --limit image_db"],
            ["ROLLBACK --limit image_db"],
        ),
    ],
)
def test_commands_reach_exactly_what_they_are_about(
    databases: list[dict[str, Any]], on: list[str], back: list[str]
) -> None:
    assert steps(*databases) == (on, back)


def rollback_text(facts: dict[str, Any]) -> str:
    [found] = commands.rollbacks([outcome.outcome(facts)], COMMANDS, ["campaign_db"])
    return found.text


def test_a_run_without_phases_is_not_finished() -> None:
    begun = {"name": "campaign_db", "state": "migrating", "active": False, "phases": [], "loads": []}
    found = outcome.outcome(begun)
    assert outcome.verdict([found]) == ("unfinished", "campaign_db begun, no phase done yet.")
    assert rollback_text(begun) == commands.BEFORE_CUTOVER
    assert outage.outages(begun) == ()


@pytest.mark.parametrize("phase_state", ["done", "failed", "running"])
def test_a_cutover_that_was_begun_counts_as_one(phase_state: str) -> None:
    """The target may have taken writes, whatever came of the rest of the phase."""
    facts = database(state="migrating", last="cutover", phase_state=phase_state)
    assert rollback_text(facts) == commands.AFTER_CUTOVER


def test_a_run_without_its_backup_says_what_that_means() -> None:
    bare = database("image_db")
    bare["phases"] = [found for found in bare["phases"] if found["name"] != "backup"]
    assert rollback_text(bare).endswith("no rollback once the source is lost: this run has no backup of image_db.")
    assert "backup" not in rollback_text(database())


def test_outages_of_migration_and_rollback() -> None:
    [migration, rollback] = outage.outages(database(state="rolled_back", last="rollback_open"))
    assert (migration.opened, migration.seconds) == ("the storage database", pytest.approx(20.9))
    assert (rollback.opened, rollback.seconds) == ("the source", pytest.approx(6.6))


def test_what_clients_of_the_services_saw_is_more_than_the_databases_own_outage() -> None:
    facts = with_services(database(state="rolled_back", last="rollback_open")) | {"changed_at": at(3620)}
    [migration, rollback] = outage.service_outages(facts)
    assert (migration.seconds, migration.seen) == (pytest.approx(23.1), outage.SMOKE_TEST)
    assert rollback.seconds == pytest.approx(3620 - 3600.3), "until the services are on the source again"
    assert outage.outages(facts)[1].seconds == pytest.approx(6.6)
    failed = with_services(database(state="migrating"))
    failed["phases"][-1]["result"] = {}
    assert outage.service_outages(failed)[0].seconds is None, "the end of the smoke test is not its write"


def test_clients_wait_from_the_first_lock_until_the_slowest_host_is_healthy() -> None:
    """Where the journal has it; an older one has not."""
    facts = with_services(database(state="rolled_back", last="rollback_open")) | {"changed_at": at(3620)}
    facts["phases"].append(facts["phases"][-1] | {"name": "rollback_services", "result": {"healthy_at": at(3612)}})
    for phase in facts["phases"]:
        if phase["name"] in ("fence", "rollback_fence"):
            phase["result"]["locking_at"] = at(43.0 if phase["name"] == "fence" else 3600.0)
        if phase["name"] == "cutover_services":
            phase["result"]["healthy_at"] = at(65.2)
    [migration, rollback] = outage.service_outages(facts)
    assert (migration.seconds, migration.seen) == (pytest.approx(65.2 - 43), outage.HEALTHY)
    assert (rollback.seconds, rollback.seen) == (pytest.approx(12), outage.REPOINTED_BACK)
    assert outage.outages(facts)[0].seconds == pytest.approx(20.9), "the database's own is from its closing"
    assert outage.service_outages(facts | {"state": "rolling_back"})[1].seconds is None, (
        "an earlier attempt has noted it"
    )


def test_a_cutover_without_smoke_test_and_its_rollback_are_one_outage_to_clients() -> None:
    facts = database(state="rolled_back", last="rollback_open") | {"changed_at": at(3620)}
    [only] = outage.service_outages(facts)
    assert only.seconds == pytest.approx(3620 - 43.5)
    assert outage.service_outages(facts | {"state": "rolling_back"})[0].seconds is None


def test_an_outage_that_lasts_has_no_length() -> None:
    [lasting] = outage.outages(database(state="migrating", last="verify", phase_state="failed"))
    assert lasting.seconds is None
    assert lasting.closed_at == outcome.time_of(at(43.5))


def test_a_rollback_before_the_cutover_ends_the_one_outage() -> None:
    facts = database(state="rolled_back", last="rollback_open")
    facts["phases"] = [phase for phase in facts["phases"] if phase["name"] not in ("cutover", "reconcile")]
    [only] = outage.outages(facts)
    assert only.opened == "the source"
    assert outage.service_outages(facts)[0].seconds == only.seconds


def test_a_fence_that_failed_is_no_measured_outage() -> None:
    facts = database(state="migrating", last="fence", phase_state="failed")
    facts["phases"][-1]["result"] = {}
    assert outage.outages(facts) == ()


@pytest.mark.parametrize("text", [None, "", "yesterday", 5, "2026-11-22T02:00:00"])
def test_times_that_are_none(text: Any) -> None:
    assert outcome.time_of(text) is None
    assert outcome.moment(text) == "–"  # noqa: RUF001 - the sign for nothing
