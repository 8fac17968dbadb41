"""A rehearsal migrates a copy: source and storage database stay as they are, and a ticket says how long it took."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consolidation.errors import RunInProgress, StepRefused
from consolidation.postgres.connection import session
from consolidation.rehearse import phase as rehearse
from consolidation.rehearse import ticket
from tests import backups
from tests.cluster import Database, digest_of_everything
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
