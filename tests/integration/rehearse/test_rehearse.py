"""A rehearsal migrates a copy: source and storage database stay as they are, and a ticket says how long it took."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consolidation.capture.state import PREFIX as CAPTURE
from consolidation.errors import RunInProgress, StepRefused
from consolidation.postgres.connection import session
from consolidation.preflight import phase as preflight
from consolidation.rehearse import phase as rehearse
from consolidation.rehearse import ticket
from tests import backups
from tests.cluster import Database, digest_of_everything
from tests.following import Writers
from tests.modules import run_module
from tests.window import Window


@pytest.fixture
def window(campaign: Database, target: Database) -> Window:
    return Window(campaign, target)


@pytest.fixture
def options(window: Window, tmp_path: Path) -> rehearse.Options:
    return rehearse.Options(tmp_path / "dumps", backups.tools(), window.database.target)


def go(window: Window, options: rehearse.Options) -> dict[str, Any]:
    return rehearse.apply(rehearse.plan(window.database, options))


def everything(window: Window) -> list[dict[str, str]]:
    return [digest_of_everything(each.server) for each in (window.source, window.target)]


@pytest.mark.every_pair
def test_nothing_is_left_but_the_ticket(window: Window, options: rehearse.Options) -> None:
    before = everything(window)
    found = go(window, options)
    assert everything(window) == before
    assert list((options.directory / "rehearsal").iterdir()) == []
    phases = [phase["name"] for phase in found["journal"]["phases"]]
    assert {"backup", "schema", "fence", "copy", "verify", "cutover"} <= set(phases)
    assert {phase["state"] for phase in found["journal"]["phases"]} == {"done"}
    counted = window.source.value("SELECT count(*) FROM campaigns")
    assert {table["name"]: table["rows"] for table in found["tables"]}["campaigns"] == counted
    value = window.source.value("SELECT name FROM campaigns WHERE name <> '' LIMIT 1")
    assert value not in json.dumps(found)
    window.source.execute("DELETE FROM campaigns WHERE false", user="campaign_app")  # nothing is fenced


@pytest.fixture
def online(window: Window, options: rehearse.Options) -> rehearse.Options:
    window.mode = "online"
    return replace(options, follow_seconds=0.5)


@pytest.mark.every_pair
def test_online_the_source_is_followed_while_it_is_written_and_nothing_is_left(
    window: Window, online: rehearse.Options
) -> None:
    before = everything(window)
    ids = [key for (key,) in window.source.rows("SELECT id FROM campaigns")]

    def write(conn: Any, chance: random.Random) -> None:
        conn.cursor().execute("UPDATE campaigns SET updated_at = updated_at WHERE id = %s", [chance.choice(ids)])

    with Writers(window.source, write).writing(1):
        found = go(window, online)
    assert window.source.value("SELECT to_regnamespace('consolidation') IS NULL")
    assert not window.source.value("SELECT count(*) FROM pg_trigger WHERE tgname ~ 'consolidation'")
    assert everything(window)[1] == before[1], "the writers have moved rows of the source"
    rounds = found["online"]
    assert rounds["rounds"] >= 2
    assert rounds["keys"] > 0
    assert 0 < rounds["median_seconds"] <= rounds["p95_seconds"]
    assert rounds["cost"]["rows"] > 0
    assert min(rounds["cost"]["microseconds_a_row_captured"], rounds["cost"]["microseconds_a_row"]) > 0
    assert found["read_from"] == "the source itself"
    assert {"capture", "copy", "follow", "verify"} <= {phase["name"] for phase in found["journal"]["phases"]}
    assert "rounds in" in rehearse.summary(found)
    assert "with the capture" in rehearse.summary(found)


@pytest.mark.parametrize("place", ["copy", "verification", "_rounds"])
def test_killed_online_preflight_reports_the_capture_and_the_next_rehearsal_removes_it(
    window: Window, online: rehearse.Options, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    before = everything(window)

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(rehearse.databases, "drop", lambda *_: None)
        patched.setattr(rehearse.live, "_remove", lambda *_, **__: None)
        patched.setattr(rehearse.cost, "measure", lambda *_: {})
        patched.setattr(rehearse.live, place, killed)
        with pytest.raises((Killed, AttributeError)):
            go(window, online)
    assert CAPTURE in window.source.value("SELECT string_agg(tgname, ' ') FROM pg_trigger")
    reported = preflight.examine(window.database, preflight.Options(online.directory, online.tools))
    assert "source.capture.left" in [each.id for each in reported.findings]
    planned = rehearse.plan(window.database, online)
    assert set(planned.captured) >= {"campaigns", "chapters"}
    assert "remove the capture that was left" in planned.diff()["prepared"]
    go(window, online)
    assert everything(window) == before


def test_online_it_is_refused_while_a_run_needs_the_capture_and_the_run_while_it_rehearses(
    window: Window, online: rehearse.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = rehearse.live._rounds, []

    def rounds(*given: Any) -> Any:
        window.begin()
        with pytest.raises(RunInProgress, match="another process works on it"):
            window.schema()
        tried.append(True)
        return real(*given)

    monkeypatch.setattr(rehearse.live, "_rounds", rounds)
    go(window, online)
    assert tried
    with pytest.raises(StepRefused, match="its run is migrating"):
        rehearse.plan(window.database, online)


class Killed(BaseException):
    """What a SIGKILL is for the code that follows."""


@pytest.mark.parametrize("place", ["runs", "built", "verify"])
def test_what_a_killed_rehearsal_leaves_the_next_one_drops(
    window: Window, options: rehearse.Options, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    before = everything(window)

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(rehearse.databases, "drop", lambda *_: None)  # nothing is tidied up any more
        patched.setattr(rehearse.shutil, "rmtree", lambda *_, **__: None)
        patched.setattr(rehearse, place, killed)
        with pytest.raises((Killed, AttributeError)):
            go(window, options)
    assert everything(window) != before
    assert (options.directory / "rehearsal" / "campaign_db" / "dump").exists()
    planned = rehearse.plan(window.database, options)
    assert planned.leftover
    assert f"drop database {planned.scratch}" in planned.diff()["prepared"]
    go(window, options)
    assert everything(window) == before


def test_a_failure_leaves_nothing(window: Window, options: rehearse.Options) -> None:
    window.source.execute("ALTER TABLE campaigns ADD COLUMN surprise int", role="campaign_owner")
    before = everything(window)
    with pytest.raises(StepRefused, match="surprise"):
        go(window, options)
    assert everything(window) == before
    assert list((options.directory / "rehearsal").iterdir()) == []


def test_a_database_of_that_name_that_no_rehearsal_made_is_never_dropped(
    window: Window, options: rehearse.Options
) -> None:
    name = rehearse.plan(window.database, options).scratch
    for statement in (f"CREATE DATABASE {name}", f"COMMENT ON DATABASE {name} IS 'the accountants'' own'"):
        with window.target.in_database("postgres").connection() as conn:
            conn.autocommit = True
            conn.cursor().execute(statement)
    before = everything(window)
    with pytest.raises(StepRefused, match="that no rehearsal has made"):
        rehearse.plan(window.database, options)
    assert everything(window) == before


def test_two_at_once_are_refused(window: Window, options: rehearse.Options) -> None:
    with session(window.database.target, "test", autocommit=True) as conn:
        conn.cursor().execute(
            "SELECT pg_advisory_lock(%s, hashtext('rehearsal campaign_db'))", [rehearse.records.LOCK_SPACE]
        )
        with pytest.raises(RunInProgress, match="another rehearsal"):
            go(window, options)


def test_preflight_says_what_a_ticket_is_worth(window: Window, capsys: pytest.CaptureFixture[str]) -> None:
    made = {"format": 1, "made_at": datetime.now(UTC).isoformat(), "subject": rehearse.subject(window.database)}
    other = {**made, "subject": {**made["subject"], "target_version": "9.6"}}

    def look(given: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
        options = {"database": window.options, "ticket": given, **more}
        found = run_module(capsys, "rehearsal_preflight_info", False, options)["findings"]
        return [(each["id"], each["severity"]) for each in found]

    assert look({}) == [("rehearsal.missing", "info")]
    assert look({}, required=True) == [("rehearsal.missing", "blocker")]
    assert look(other) == [("rehearsal.outdated", "warning")]
    assert look(made, required=True) == []
    assert look({**made, "made_at": "2026-01-01T00:00:00+00:00"}) == [("rehearsal.outdated", "warning")]
    window.begin()  # a run that is under way is not stopped for it
    assert look({}, required=True) == []


def test_a_ticket_is_valid_for_what_was_rehearsed_and_for_some_days(tmp_path: Path) -> None:
    now, subject = datetime.now(UTC), {"target_version": "18.4", "heads": ["a"]}
    found = {"format": 1, "made_at": now.isoformat(), "subject": subject}
    assert ticket.fault(found, now, 14, subject) == ""
    assert "days ago" in ticket.fault(found, now + timedelta(days=15), 14, subject)
    assert "heads was ['a'] and is ['b']" in ticket.fault(found, now, 14, {**subject, "heads": ["b"]})
    assert "there is none" in ticket.fault({}, now, 14, subject)
    assert ticket.read(tmp_path, "campaign_db") == {}
