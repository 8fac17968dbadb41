"""The reviewer's page: what a look collects, what it expects and on what basis, and that the page is whole."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consolidation import evidence
from consolidation.errors import ConfigurationError
from consolidation.report import phase as report
from consolidation.review import page
from consolidation.review.collect import Collector
from consolidation.review.expect import BETWEEN, Expected, expect
from consolidation.review.window import judge
from tests.report_facts import database, journal, table, with_services
from tests.unit.report.test_report import Document

NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)
MEGABYTE = 1_000_000
NASTY = "<script>alert(1)</script>{{ 7*7 }}"


@pytest.fixture
def look() -> Collector:
    """Of one database."""
    look = Collector()
    tables = [{"name": "public.campaigns", "rows": 1000, "bytes": 50 * MEGABYTE}]
    finding = {"id": "source.lock", "severity": "warning", "subject": "pid 5", "what": NASTY, "fix": "COMMIT;"}
    look.add("campaign_db", "pg_preflight_info", {}, {"tables": tables, "findings": [finding]})
    ddl = {"changed": True, "pending": ["campaign_db_0001"], "diff": {"prepared": "CREATE TABLE campaigns ();\n"}}
    look.add("campaign_db", "alembic_upgrade", {}, ddl)
    closed = {"changed": True, "diff": {"before": "source campaigns: absent\n", "after": "source campaigns: closed\n"}}
    look.add("campaign_db", "pg_fence", {"side": "source"}, closed)
    config = {"before_header": "app.yml", "before": "host: a\nuser: u\n", "after": "host: b\nuser: u\n"}
    look.add("campaign_db", "service_config", {}, {"changed": True, "diff": config, "msg": "app.yml: goes elsewhere"})
    look.add("campaign_db", "pg_grant", {}, {"changed": False, "diff": {"prepared": ""}})
    look.add("campaign_db", "pg_cutover", {}, {"changed": False, "diff": {"prepared": ""}})
    return look


def plan(look: Collector, base: Path) -> dict[str, Any]:
    return page.content(look, base, "migrate.yml", "ansible-playbook migrate.yml --check --diff", NOW)


def test_the_page_says_what_would_be_changed_and_what_was_not_known(look: Collector, tmp_path: Path) -> None:
    content = plan(look, tmp_path)
    text = "\n".join(page.lines(content, texts=True))
    for expected in (
        "this was a look, nothing was changed",
        "about 1,000 rows, 50.0 MB",
        "ASSUMED, nothing was measured yet",
        "Revisions  campaign_db_0001",
        "CREATE TABLE campaigns ();",
        "+ source campaigns: closed",
        "Target         cutover",
        "open campaign_db.campaigns to its roles",
        "- host: a",
        "warning source.lock pid 5",
        "No return  Until the cutover: none.",
        "Not known  That the dump restores",
    ):
        assert expected in text
    assert "user: u" not in text, "only what changes"
    assert "CREATE TABLE" not in "\n".join(page.lines(content, texts=False))
    written = page.write(content, tmp_path)
    html = Document(written.read_text())
    assert NASTY in "".join(html.texts)
    assert "script" not in html.tags
    assert json.loads((written.parent / page.JSON).read_text())["databases"][0]["bytes"] == 50 * MEGABYTE
    assert evidence.check(written.parent).holds


def test_a_rollbacks_page_estimates_nothing_by_the_migrations_phases(tmp_path: Path) -> None:
    facts = journal(database(tables=[table("campaigns")]))
    report.apply(report.plan(facts, tmp_path, {"migrate": "M", "rollback": "R"}, ["campaign_db"]))
    look = Collector()
    gone = {"changed": True, "diff": {"before": "target campaigns: on\n", "after": "target campaigns: absent\n"}}
    look.add("campaign_db", "pg_capture", {"side": "target", "state": "absent"}, gone)
    look.add("campaign_db", "pg_rollback", {}, {"changed": True, "diff": {"prepared": "open the source\n"}})
    content = page.content(look, tmp_path, "rollback.yml", "ansible-playbook rollback.yml --check", NOW)
    text = "\n".join(page.lines(content, texts=True))
    assert "Time       not estimated: this look has measured no table" in text
    assert "Target         capture" in text
    assert "cancel_rollback.yml opens the storage database again" in text
    for wrong in ("0 tables", "0 rows", "verify", "Outage", "dump"):
        assert wrong not in text, text
    html = " ".join("".join(Document(page.render(content)).texts).split())
    assert "Refused meanwhile" not in html
    assert "not estimated" in html
    assert re.search(r"campaign_db ?(– ?){5}", html)  # noqa: RUF001 - the sign for nothing


def test_the_databases_stand_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Not in that of their hosts' answers, which differs from one look to the next."""
    look = Collector()
    for name in ("image_db", "campaign_db"):
        look.add(name, "pg_preflight_info", {}, {"tables": [], "findings": []})
    assert [each["name"] for each in plan(look, tmp_path)["databases"]] == ["campaign_db", "image_db"]


def test_times_are_expected_at_the_rates_of_an_earlier_run_of_the_same_database(
    look: Collector, tmp_path: Path
) -> None:
    facts = journal(database(tables=[table("campaigns")]), database("image_db", tables=[table("images")]))
    report.apply(report.plan(facts, tmp_path, {"migrate": "M", "rollback": "R"}, ["campaign_db", "image_db"]))
    copied = 81 * MEGABYTE  # in 12.6 s, as tests/report_facts.py has it
    twice = expect("campaign_db", 2 * copied, tmp_path)
    assert twice.basis == f"measured by run {facts['run']['id']}, scaled by size"
    assert twice.seconds["copy"] == pytest.approx(2 * 12.6)
    assert twice.seconds["cutover"] == pytest.approx(0.7), "what does not grow with the rows is not scaled"
    assert twice.outage_seconds > 2 * (12.6 + 6.1)
    assert expect("other_db", copied, tmp_path).basis.startswith("ASSUMED")
    (tmp_path / "20270101T000000Z").mkdir()
    (tmp_path / "20270101T000000Z" / "report.json").write_text("{cut off")
    assert expect("campaign_db", copied, tmp_path).seconds == expect("campaign_db", copied, tmp_path).seconds


def test_the_smoke_test_is_no_expected_outage(tmp_path: Path) -> None:
    """It watches the old side for some seconds, while the clients write on the new one."""
    facts = journal(with_services(database(tables=[table("campaigns")])))
    report.apply(report.plan(facts, tmp_path, {"migrate": "M", "rollback": "R"}, ["campaign_db"]))
    expected = expect("campaign_db", 81 * MEGABYTE, tmp_path)
    assert expected.seconds["services"] == pytest.approx(66.6 - 64.4)
    assert expected.outage_seconds == pytest.approx(66.6 - 43.5)
    assert expected.seconds["smoke test"] == pytest.approx(5)
    assert expected.total_seconds > expected.outage_seconds + 5


def test_go_or_no_go_before_the_fence_and_before_the_cutover() -> None:
    seconds = {
        "backup": 900.0,
        "fence": 1.0,
        "copy": 60.0,
        "verify": 30.0,
        "cutover": 2.0,
        "services": 5.0,
        BETWEEN: 2.0,
    }
    expected = Expected(seconds, "measured by a test")
    end = (NOW + timedelta(seconds=60)).isoformat()
    assert not judge("campaign_db", expected, "outage", end, NOW).go
    assert judge("campaign_db", expected, "cutover", end, NOW).go
    later = judge("campaign_db", expected, "outage", (NOW + timedelta(seconds=101)).isoformat(), NOW)
    assert (later.go, later.needed_seconds, later.left_seconds) == (True, 100.0, 101.0)
    past = judge("campaign_db", expected, "cutover", (NOW - timedelta(seconds=1)).isoformat(), NOW)
    assert "NO-GO" in past.msg
    assert "it is over" in past.msg
    with pytest.raises(ConfigurationError, match="not a moment with a zone"):
        judge("campaign_db", expected, "outage", "2026-11-22 02:00", NOW)


def test_a_rehearsal_is_asked_before_an_earlier_run(tmp_path: Path) -> None:
    phases = [
        {
            "name": name,
            "state": "done",
            "started_at": f"2026-11-01T00:00:0{n}+00:00",
            "finished_at": f"2026-11-01T00:00:0{n + 2}+00:00",
        }
        for n, name in enumerate(("backup", "copy", "verify"))
    ]
    tables = [{"name": "campaigns", "rows": 1, "bytes": 10 * MEGABYTE}]
    made = {
        "format": 1,
        "name": "campaign_db",
        "made_at": "2026-11-01T00:01:00+00:00",
        "read_from": "a restored copy on x:1",
    }
    path = tmp_path / "rehearsal" / "campaign_db" / "ticket.json"
    evidence.write(path, json.dumps({**made, "tables": tables, "journal": {"phases": phases}}))
    found = expect("campaign_db", 20 * MEGABYTE, tmp_path)
    assert "measured by the rehearsal of 2026-11-01" in found.basis
    assert found.seconds["copy"] == 4.0  # twice the size
    assumed = expect("campaign_db", 20 * MEGABYTE, tmp_path, online=True)
    assert "ASSUMED" in assumed.basis
    rounds = {"rounds": 60, "p95_seconds": 0.25, "oldest_writer_seconds": 2.0}
    evidence.write(path, json.dumps({**made, "tables": tables, "journal": {"phases": phases}, "online": rounds}))
    followed = expect("campaign_db", 20 * MEGABYTE, tmp_path, online=True)
    assert followed.seconds["last round"] == 0.25
    assert followed.seconds["change-over"] == 3.0, "the fence waits for who has written"
    assert followed.outage_seconds == 3.25 + followed.seconds["services"], "copy and verification are no outage"
    assert followed.seconds["copy"] == 4.0
    assert "60 rounds" in followed.basis
    path.write_text("{")
    assert expect("campaign_db", 20 * MEGABYTE, tmp_path).basis.startswith("ASSUMED")
