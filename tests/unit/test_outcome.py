from __future__ import annotations

from typing import Any

import pytest

from consolidation.report import outcome
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
            {"phase_state": "running", "at_work": True},
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
    assert outcome.way_on([good, bad], COMMANDS) == "MIGRATE"
    back = outcome.way_back([good, bad], COMMANDS)
    assert back.command == "ROLLBACK"
    assert f"image_db (not cut over): {outcome.BEFORE_CUTOVER}" in back.text
    assert f"campaign_db (cut over): {outcome.AFTER_CUTOVER}" in back.text


@pytest.mark.parametrize(
    ("databases", "limit"),
    [
        ([database(), database("image_db")], ""),
        ([database("image_db")], " --limit image_db"),
        # What was taken back is no matter of this run any more: a later one may have migrated it.
        ([database(state="rolled_back", last="rollback_open"), database("image_db")], " --limit image_db"),
    ],
)
def test_commands_reach_no_other_database_of_the_inventory(databases: list[dict[str, Any]], limit: str) -> None:
    outcomes = [outcome.outcome(each) for each in databases]
    found = outcome.limited(COMMANDS, outcomes, ["campaign_db", "image_db"])
    assert found == {"migrate": f"MIGRATE{limit}", "rollback": f"ROLLBACK{limit}"}


def test_a_run_without_phases_is_not_finished() -> None:
    begun = {"name": "campaign_db", "state": "migrating", "at_work": False, "phases": [], "loads": []}
    found = outcome.outcome(begun)
    assert outcome.verdict([found]) == ("unfinished", "campaign_db begun, no phase done yet.")
    assert outcome.way_back([found], COMMANDS).text == outcome.BEFORE_CUTOVER
    assert outcome.outages(begun) == ()


@pytest.mark.parametrize("phase_state", ["done", "failed", "running"])
def test_a_cutover_that_was_begun_counts_as_one(phase_state: str) -> None:
    """The target may have taken writes, whatever came of the rest of the phase."""
    found = outcome.outcome(database(state="migrating", last="cutover", phase_state=phase_state))
    assert outcome.way_back([found], COMMANDS).text == outcome.AFTER_CUTOVER


def test_nothing_to_type_after_a_rollback_and_the_rollback_while_it_is_cut_off() -> None:
    done = outcome.outcome(database(state="rolled_back", last="rollback_open"))
    assert outcome.way_back([done], COMMANDS).command == ""
    assert outcome.way_on([done], COMMANDS) == ""
    cut_off = outcome.outcome(database(state="rolling_back", last="reconcile", phase_state="running"))
    assert outcome.way_back([cut_off], COMMANDS).command == "ROLLBACK"
    assert outcome.way_on([cut_off], COMMANDS) == "ROLLBACK"


def test_outages_of_migration_and_rollback() -> None:
    [migration, rollback] = outcome.outages(database(state="rolled_back", last="rollback_open"))
    assert (migration.opened, migration.seconds) == ("the storage database", pytest.approx(20.9))
    assert (rollback.opened, rollback.seconds) == ("the source", pytest.approx(6.6))


def test_what_clients_of_the_services_felt_stands_beside_the_databases_own_outage() -> None:
    [migration, rollback] = outcome.outages(with_services(database(state="rolled_back", last="rollback_open")))
    assert (migration.seconds, migration.services_seconds) == (pytest.approx(20.9), pytest.approx(23.1))
    assert rollback.services_seconds is None
    [unseen] = outcome.outages(database())
    assert unseen.services_seconds is None
    failed = with_services(database(state="migrating"))
    failed["phases"][-1]["result"] = {}
    assert outcome.outages(failed)[0].services_seconds is None, "the end of the proof is not its write"


def test_an_outage_that_lasts_has_no_length() -> None:
    [lasting] = outcome.outages(database(state="migrating", last="verify", phase_state="failed"))
    assert lasting.seconds is None
    assert lasting.closed_at == outcome.time_of(at(43.5))


def test_a_rollback_before_the_cutover_ends_the_one_outage() -> None:
    facts = database(state="rolled_back", last="rollback_open")
    facts["phases"] = [phase for phase in facts["phases"] if phase["name"] not in ("cutover", "reconcile")]
    [only] = outcome.outages(facts)
    assert only.opened == "the source"


def test_a_fence_that_failed_is_no_measured_outage() -> None:
    facts = database(state="migrating", last="fence", phase_state="failed")
    facts["phases"][-1]["result"] = {}
    assert outcome.outages(facts) == ()


@pytest.mark.parametrize("text", [None, "", "yesterday", 5, "2026-11-22T02:00:00"])
def test_times_that_are_none(text: Any) -> None:
    assert outcome.time_of(text) is None
    assert outcome.moment(text) == "–"  # noqa: RUF001 - the sign for nothing
