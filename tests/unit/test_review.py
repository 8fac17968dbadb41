"""The reviewer's page: what a look collects, what it expects and on what basis, and that the page is whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consolidation import evidence
from consolidation.report import phase as report
from consolidation.review import page
from consolidation.review.collect import Collector
from consolidation.review.expect import expect
from tests.report_facts import database, journal, table
from tests.unit.test_report import Document

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
