from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest

from consolidation import evidence as run_directory
from consolidation.report import page
from consolidation.report import phase as report
from tests.report_facts import at, database, journal, table, with_services

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
    "nothing done": journal({"name": "campaign_db", "state": "migrating", "active": False, "phases": [], "loads": []}),
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
        assert {name for name, _ in attrs}.isdisjoint({"src", "srcset", "data", "onload"})
        assert not any(name == "href" and ":" in (value or "") for name, value in attrs), "only files beside it"
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


def test_a_look_with_other_options_is_no_news(tmp_path: Path) -> None:
    """The commands of the console carry what was given; the report keeps those of the command that made it."""
    write(tmp_path, FACTS["migrated"])
    other = {name: f"{command} -e copy_jobs=3" for name, command in COMMANDS.items()}
    again = report.plan(FACTS["migrated"], tmp_path, other, INVENTORY)
    assert not again.changed
    assert "copy_jobs=3" in again.summary["rollbacks"][0]["command"]
    (tmp_path / FACTS["migrated"]["run"]["id"] / report.JSON).write_text("[]")
    assert report.plan(FACTS["migrated"], tmp_path, other, INVENTORY).changed


def test_a_finished_runs_evidence_is_closed_and_what_comes_later_is_beside_it(tmp_path: Path) -> None:
    run_id = FACTS["migrated"]["run"]["id"]
    run_directory.write(tmp_path / run_id / "campaign_db" / "config-campaign-service.json", "{}")
    write(tmp_path, FACTS["migrated"])
    run_directory.index(tmp_path / run_id, close=True)
    closed = {path: path.read_bytes() for path in (tmp_path / run_id).rglob("*") if path.is_file()}

    run_directory.append(tmp_path / f"{run_id}.2" / "log.txt", "the same command again\n")
    again = report.plan(FACTS["migrated"], tmp_path, COMMANDS, INVENTORY)
    assert (again.changed, again.directory) == (False, tmp_path / run_id)
    later = write(tmp_path, {**FACTS["rolled back"], "run": FACTS["migrated"]["run"]})
    assert Path(later["path"]).parent == tmp_path / f"{run_id}.2"
    assert {path: path.read_bytes() for path in (tmp_path / run_id).rglob("*") if path.is_file()} == closed
    assert run_directory.check(tmp_path / run_id).holds


def test_a_rollback_that_began_by_itself_keeps_its_reason(tmp_path: Path) -> None:
    facts = FACTS["rolled back"]
    events = tmp_path / facts["run"]["id"] / run_directory.EVENTS
    failed = {"event": "failed", "database": "campaign_db", "message": "the service is not healthy"}
    back = {"event": "rolling back", "database": "campaign_db", "playbook": "migrate.yml"}
    run_directory.append(events, f"{json.dumps(failed)}\n{json.dumps(back)}\n")
    written = write(tmp_path, facts)
    assert written["verdict"] == "campaign_db rolled back automatically."
    assert "automatically because:</strong> the service is not healthy" in Path(written["path"]).read_text()
    asked_for = {**back, "playbook": "rollback.yml"}
    run_directory.append(events, json.dumps(asked_for) + "\n")
    assert write(tmp_path, facts)["verdict"] == "campaign_db rolled back."


def test_a_command_that_changed_nothing_is_no_news(tmp_path: Path) -> None:
    facts = FACTS["migrated"]
    events = tmp_path / facts["run"]["id"] / run_directory.EVENTS
    for moment in (at(-5), at(90_000)):
        run_directory.append(
            events, json.dumps({"event": "command", "at": moment, "command": moment, "by": "ops"}) + "\n"
        )
        written = write(tmp_path, facts)
    page = Path(written["path"]).read_text()
    assert at(-5) in page
    assert at(90_000) not in page


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
        "20.9 s from 2026-11-22 02:00:43 UTC until the storage database was open",
        "as clients saw it: 23.1 s at the most, from 2026-11-22 02:00:43 UTC until a write through the service",
        "writes refused for 20.9 s",
        "Smoke test of services done 1",
        "writes are refused since 2026-11-22 02:00:43 UTC",
        "image_db: Content: not shown to be equal",
        "campaign_db: Preflight: no result is kept with this run.",
        "1 not shown to be equal",
        "2 rows missing",
        "images_id_seq different 9 1 is behind",
        "source.lock pid 5",
        "COMMIT;",
    ):
        assert expected in text


def test_online_what_was_given_up_and_what_is_left_on_the_source(tmp_path: Path) -> None:
    def phase(name: str, **result: Any) -> dict[str, Any]:
        moments = {"started_at": at(9), "finished_at": at(32)}
        return {"name": name, "state": "failed", "attempts": 1, "error": "", **moments, "result": result}

    found = database(state="migrating", last="schema")
    noted = {"state": "on", "at": at(10), "tables": [{"name": "a"}, {"name": "b"}]}
    aborted = [{"closing_at": at(20), "reopened_at": at(31)}]
    found["phases"] += [phase("capture", source=noted), phase("fence", aborted=aborted)]
    page_of = Path(write(tmp_path, journal(found))["path"])
    [given] = json.loads((page_of.parent / report.JSON).read_text())["databases"]
    assert [(each["seconds"], each["opened"]) for each in given["aborted"]] == [(11.0, "the source")]
    assert "triggers on 2 tables" in given["left"][0]
    text = " ".join("".join(Document(page_of.read_text()).texts).split())
    assert "a change-over was given up, the source was opened again" in text
    assert "What is left on the sources campaign_db: Capture:" in text
    found["phases"].append(phase("rollback_capture", source={"state": "absent"}))
    page_of = Path(write(tmp_path, journal(found))["path"])
    assert json.loads((page_of.parent / report.JSON).read_text())["databases"][0]["left"] == []


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
    pictures = page.pictures(FACTS["rolled back"]["databases"])
    assert [(title, [bar.label for bar in picture.bars]) for title, picture in pictures] == [
        ("Migration", ["Backup", "Schema", "Fence, writes refused", "Copy", "Verify", "Cutover, target open"]),
        ("Rollback", ["Target fenced", "Writes brought back", "Source open"]),
    ]
    assert [[note.text for note in picture.notes] for _, picture in pictures] == [
        ["writes refused for 20.9 s"],
        ["writes refused for 6.6 s"],
    ]
