"""The command `consolidation`: what it reads of Ansible's output, what it says, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consolidation import evidence
from consolidation.adopt import skeleton
from consolidation.cli import ask
from consolidation.cli.app import COMMANDS as COMMANDS_OF_CLI
from consolidation.cli.app import cli
from consolidation.cli.standing import is_alive, standing
from consolidation.report import phase as report
from tests.report_facts import at, database, journal, table, with_services

COMMANDS = {"migrate": "M", "rollback": "R"}
RUNNING = database(state="migrating", last="copy", phase_state="running", active=True)
FAILED = database("image_db", "migrating", "schema", phase_state="failed")
REFUSING = database(state="migrating", last="copy", phase_state="failed")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def answers(monkeypatch: pytest.MonkeyPatch, *databases: dict[str, Any], failed: dict[str, str] | None = None) -> None:
    facts = {each["name"]: journal(each) for each in databases}
    monkeypatch.setattr(ask, "journal", lambda *_: (facts, failed or {}))


@pytest.mark.parametrize(
    ("databases", "failed", "code"),
    [
        ([database(), database("image_db")], {}, 0),
        ([database()], {"image_db": "away"}, 1),
        ([RUNNING], {}, 10),
        ([RUNNING, FAILED], {}, 11),
        ([REFUSING, FAILED], {"third": "away"}, 12),
    ],
)
def test_status_ends_with_the_worst(
    monkeypatch: pytest.MonkeyPatch, databases: list[dict[str, Any]], failed: dict[str, str], code: int
) -> None:
    answers(monkeypatch, *databases, failed=failed)
    result = invoke("status", "-i", "hosts")
    assert result.exit_code == code, result.output
    listed = json.loads(invoke("status", "-i", "hosts", "--json").stdout)
    assert [each["database"] for each in listed] == sorted(each["name"] for each in databases) + list(failed)


def test_status_says_since_when_writes_are_refused_and_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = {
        "table": "a",
        "state": "copying",
        "rows": 500,
        "bytes": 4000,
        "share": 0.5,
        "weight": 8000,
        "rate": 400.0,
        "eta": 10,
    }
    phases = [*RUNNING["phases"]]
    phases[-1] = phases[-1] | {"result": {"progress": {"at": 1795305710.0, "tables": [pace]}}}
    answers(monkeypatch, RUNNING | {"phases": phases})
    [found] = json.loads(invoke("status", "-i", "hosts", "--json").stdout)
    assert (found["outcome"], found["phase"], found["refused_since"]) == ("running", "Copy", at(43.5))
    assert (found["share"], found["rows"], found["rows_per_second"], found["eta_seconds"]) == (0.5, 500, 50.0, 10.0)
    text = invoke("status", "-i", "hosts").stdout
    assert "REFUSED for" in text
    assert "50%, 50 rows/s, 10.0 s left, reported" in text


def test_a_run_between_two_modules_is_told_from_one_that_died() -> None:
    facts = journal(database(state="migrating", last="copy"))
    assert standing("campaign_db", facts, alive=True).outcome == "running"
    assert standing("campaign_db", facts, alive=False).outcome == "unfinished"
    assert is_alive({"host": "elsewhere", "pid": 1}) is None


def test_a_database_without_a_run_stands_on_its_source() -> None:
    found = standing("campaign_db", {"run": None, "databases": []})
    assert (found.outcome, found.authoritative, found.refused_since, found.is_open) == ("no run", "source", "", False)


def test_ansibles_answer_is_read_by_host() -> None:
    output = (
        'campaign_db | SUCCESS => {\n    "run": null\n}\nimage_db | UNREACHABLE! => {\n    "msg": "no route"\n}\n'
        'x | FAILED! => {"msg": "bad"}\n'
    )
    assert ask.parse(output) == ({"campaign_db": {"run": None}}, {"image_db": "no route", "x": "bad"})
    assert ask.parse("") == ({}, {})


def test_status_from_another_folder_says_where_to_give_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    result = invoke("status", "-i", "hosts")
    assert result.exit_code == 1
    assert f"{tmp_path} has no ansible.cfg: give this from the folder of the checkout" in result.output


def test_every_inventory_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        given.extend(command)
        return subprocess.CompletedProcess(command, 0, 'campaign_db | SUCCESS => {"run": null, "databases": []}\n', "")

    monkeypatch.setattr(subprocess, "run", run)
    assert invoke("status", "-i", "one", "-i", "two", "--", "--ask-vault-pass").exit_code == 0
    assert given[given.index("-i") :][:4] == ["-i", "one", "-i", "two"]
    assert given[-1] == "--ask-vault-pass"


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    facts = journal(with_services(database(tables=[table("campaigns", source_digest="a", target_digest="a")])))
    facts["databases"][0]["phases"][4]["result"]["outcome"] = "equal"
    report.apply(report.plan(facts, tmp_path, COMMANDS, ["campaign_db"]))
    directory = tmp_path / facts["run"]["id"]
    evidence.index(directory, close=True)
    return directory


def test_evidence_that_nobody_touched_holds(run_directory: Path) -> None:
    result = invoke("evidence", str(run_directory))
    assert result.exit_code == 0, result.output
    assert f"SHA-256 {evidence.check(run_directory).index_digest}, closed" in result.output
    assert "1 tables have the same counts and digests on both sides" in result.output
    assert json.loads(invoke("evidence", "--json", str(run_directory)).stdout)[0]["holds"]


@pytest.mark.parametrize("path", ["campaign_db/verify.json", "report.json"])
def test_evidence_that_was_altered_with_its_index_is_still_caught(run_directory: Path, path: str) -> None:
    """Whoever alters a file and its index too meets the other file that says the same."""
    file = run_directory / path
    file.write_text(file.read_text().replace('"target_digest": "a"', '"target_digest": "b"'))
    assert invoke("evidence", str(run_directory)).exit_code == 1
    evidence.index(run_directory)
    result = invoke("evidence", str(run_directory))
    assert result.exit_code == 1
    assert "WRONG" in result.output


@pytest.mark.parametrize(
    ("whose", "said"), [("outages", "the write outages"), ("service_outages", "what clients of the services saw")]
)
def test_an_outage_that_was_shortened_is_caught(run_directory: Path, whose: str, said: str) -> None:
    file = run_directory / "report.json"
    content = json.loads(file.read_text())
    content["databases"][0][whose][0]["seconds"] = 0.1
    file.write_text(json.dumps(content))
    evidence.index(run_directory)
    assert f"WRONG         campaign_db: {said}" in invoke("evidence", str(run_directory)).output


def test_plan_shows_the_last_look_or_says_how_to_get_one(tmp_path: Path) -> None:
    missing = invoke("plan", str(tmp_path))
    assert missing.exit_code == 1
    assert "migrate.yml -i INVENTORY --check --diff" in missing.output


def test_help_says_in_a_whole_sentence_what_each_command_does() -> None:
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80).output.partition("Commands:")[2]
    assert len(shown.split("\n  ")) - 1 == len(COMMANDS_OF_CLI)
    assert "..." not in shown


def test_help_names_every_exit_code() -> None:
    for command in COMMANDS_OF_CLI:
        shown = invoke(command.name or "", "--help").output
        assert "Exit codes" in shown
        assert "--json" in shown
    assert invoke("status").exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_what_it_offers(shell: str) -> None:
    environment = {**os.environ, "_CONSOLIDATION_COMPLETE": f"{shell}_source"}
    command = [str(Path(sys.executable).with_name("consolidation"))]
    script = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "_CONSOLIDATION_COMPLETE=" in script
    words = {"COMP_WORDS": "consolidation st", "COMP_CWORD": "1" if shell != "fish" else "st"}
    offered = {**environment, **words, "_CONSOLIDATION_COMPLETE": f"{shell}_complete"}
    assert "status" in subprocess.run(command, env=offered, capture_output=True, text=True, check=True).stdout


def test_adopt_says_what_it_has_written_to_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    made = skeleton.Skeleton((skeleton.File(Path("models.py"), "x\n"),), ("read it",))
    monkeypatch.setattr(skeleton, "adopt", lambda *_, **__: made)
    result = invoke("adopt", "orders_db", "--host", "h", "--dbname", "d", "--json")
    assert json.loads(result.stdout) == {"files": ["models.py"], "next": ["read it"]}


def test_a_source_that_is_followed_shows_the_last_round_and_the_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = {
        "complete": True,
        "seconds": 0.12,
        "keys": 800,
        "noted_per_second": 400.0,
        "brought_per_second": 6666.7,
        "waiting_bytes": 0,
        "eta_seconds": None,
        "hold": "/backups/campaign_db.hold",
    }
    found = database(state="migrating", last="copy", phase_state="running", active=True)
    found["phases"][-1] = found["phases"][-1] | {"name": "follow", "result": {"progress": progress}}
    answers(monkeypatch, found)
    [shown] = json.loads(invoke("status", "-i", "hosts", "--json").stdout)
    assert "800 keys, 400 keys/s in, 6,667 keys/s out, HELD" in shown["following"]
