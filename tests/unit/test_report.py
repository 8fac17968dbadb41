from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest

from consolidation.report import phase as report
from tests.report_facts import database, journal, table, with_services

COMMANDS = {"migrate": "ansible-playbook migrate.yml -i prod", "rollback": "ansible-playbook rollback.yml -i prod"}
INVENTORY = ("campaign_db", "image_db")
NASTY = "o\"dd'\n<script>alert(1)</script>&amp;{{ 7*7 }}"
SEQUENCE = {"name": "images_id_seq", "outcome": "different", "source_next": 9, "target_next": 1, "reason": "is behind"}

FACTS = {
    "migrated": journal(database(tables=[table("campaigns")]), database("image_db", tables=[table("images")])),
    "failed": journal(
        with_services(database(tables=[table("campaigns")])),
        database(
            "image_db",
            "migrating",
            "verify",
            phase_state="failed",
            error=f"no {NASTY}",
            tables=[table(NASTY, outcome="different", reason="2 rows missing")],
            sequences=[SEQUENCE],
        ),
    ),
    "rolled back": journal(database(state="rolled_back", last="rollback_open", tables=[table("campaigns")])),
    "interrupted": journal(database(state="migrating", last="copy", phase_state="running")),
    "nothing done": journal({"name": "campaign_db", "state": "migrating", "at_work": False, "phases": [], "loads": []}),
    "no tables": journal(database(tables=[])),
    "nasty name": journal(database(NASTY, tables=[table(NASTY)])),
}


class Document(html.parser.HTMLParser):
    """Text and tags of a page; fails on tags that do not nest."""

    VOID = frozenset({"meta", "line", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs}.isdisjoint({"src", "href", "srcset", "data", "onload"})
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def write(directory: Path, facts: dict[str, Any]) -> dict[str, Any]:
    return report.apply(report.plan(facts, directory, COMMANDS, INVENTORY))


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_the_page_is_whole_escaped_and_self_contained(tmp_path: Path, facts: dict[str, Any]) -> None:
    written = write(tmp_path, facts)
    text = Path(written["path"]).read_text(encoding="utf-8")
    page = Document(text)
    assert "script" not in page.tags
    assert not re.search(r"https?://|url\(|@import", text)
    for part in facts["databases"]:
        assert part["name"] in "".join(page.texts)
    if facts is FACTS["failed"]:
        assert NASTY in "".join(page.texts)
    assert json.loads((tmp_path / facts["run"]["id"] / "report.json").read_text(encoding="utf-8"))["verdict"]


def test_a_second_report_changes_nothing_and_news_change_it(tmp_path: Path) -> None:
    first = report.plan(FACTS["migrated"], tmp_path, COMMANDS, INVENTORY)
    assert first.changed
    assert "report.html" in first.diff()["prepared"]
    assert list(tmp_path.iterdir()) == []
    report.apply(first)
    assert not report.plan(FACTS["migrated"], tmp_path, COMMANDS, INVENTORY).changed
    assert report.plan(FACTS["rolled back"], tmp_path, COMMANDS, INVENTORY).changed


def test_no_run_no_report(tmp_path: Path) -> None:
    plan = report.plan({"run": None, "databases": []}, tmp_path, COMMANDS, INVENTORY)
    assert not plan.changed
    assert report.apply(plan) == {}
    assert list(tmp_path.iterdir()) == []


def test_what_the_operator_needs_stands_on_the_page(tmp_path: Path) -> None:
    evidence = tmp_path / "preflight" / "image_db" / "preflight.json"
    evidence.parent.mkdir(parents=True)
    evidence.write_text(
        json.dumps({"findings": [{"id": "source.lock", "severity": "warning", "subject": "pid 5", "fix": "COMMIT;"}]})
    )
    written = write(tmp_path, FACTS["failed"])
    text = " ".join(" ".join(Document(Path(written["path"]).read_text(encoding="utf-8")).texts).split())
    for expected in (
        "image_db failed in phase verify; campaign_db migrated.",
        COMMANDS["migrate"],
        COMMANDS["rollback"],
        "20.9 s from 2026-11-22 02:00:43 UTC until the storage database was opened 23.1 s until its services"
        " were seen to write there again, 2026-11-22 02:01:06 UTC",
        "no writes for 20.9 s, through the services for 23.1 s",
        "cutover_services done 1",
        "still closed since 2026-11-22 02:00:43 UTC",
        "1 not shown to be equal",
        "2 rows missing",
        "images_id_seq 9 1 different is behind",
        "source.lock pid 5",
        "COMMIT;",
    ):
        assert expected in text


def test_a_thousand_tables(tmp_path: Path) -> None:
    loaded = database(tables=[table(f"t{number}") for number in range(1000)])
    [built] = [phase for phase in loaded["phases"] if phase["name"] == "schema"]
    built["result"]["definitions"] = {f"relation t{number}": "a digest" for number in range(1000)}
    written = write(tmp_path, journal(loaded))
    text = Path(written["path"]).read_text(encoding="utf-8")
    assert len(re.findall(r"<tr><td>t\d+</td>", text)) == 1000
    assert "1,000 tables, 20,000,000 rows" in " ".join(text.split())
    assert "1000 entries" in text
    assert "a digest" not in text


def test_the_rollback_has_a_picture_of_its_own() -> None:
    pictures = report.pictures(FACTS["rolled back"]["databases"])
    assert [(title, [bar.label for bar in picture.bars]) for title, picture in pictures] == [
        ("Migration", ["backup", "schema", "fence", "copy", "verify", "cutover"]),
        ("Rollback", ["rollback_fence", "reconcile", "rollback_open"]),
    ]
    assert [[note.text for note in picture.notes] for _, picture in pictures] == [
        ["no writes for 20.9 s"],
        ["no writes for 6.6 s"],
    ]
