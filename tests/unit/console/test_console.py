"""What the operator's screen shows, line by line, of what the modules return."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from consolidation.console import command, ending
from consolidation.console.board import Board, Event
from consolidation.console.figures import BAD, FIGURES, OUTAGE
from consolidation.console.last_words import Seen
from consolidation.console.options import FOR_ONE_COMMAND, OF_ROLES, OF_THE_INVENTORY
from consolidation.console.writes import OPENING, Writes
from consolidation.review.collect import STEPS
from tests.report_facts import at, database
from tools import picture

LIBRARY = Path(__file__).parents[3] / "library"
CLOSED = {"changed": True, "closed_at": at(43.5), "waited_seconds": 0.3}
FENCE = {"side": "source", "state": "closed"}
FINDING = {
    "id": "source.lock",
    "severity": "warning",
    "subject": "pid 5",
    "what": "an old transaction\nmore",
    "fix": "end it",
}
BLOCKER = FINDING | {"id": "source.type", "severity": "blocker"}


def event(module: str, values: dict[str, Any], host: str = "campaign_db", **more: Any) -> Event:
    given = {"role": "", "arguments": {}, "status": "ok", "seconds": 1.0} | more
    return Event(host=host, module=module, values=values, **given)


def texts(lines: Any) -> list[str]:
    return [" ".join(line.text.split()) for line in lines]


def preflight(*findings: dict[str, str], **more: Any) -> dict[str, Any]:
    counts = {name: sum(each["severity"] == name for each in findings) for name in ("blocker", "warning", "info")}
    return {"summary": counts, "findings": list(findings), **more}


@pytest.fixture
def board() -> Board:
    return Board(now=lambda: 100.0)


def test_every_module_that_has_a_line_is_one() -> None:
    modules = {path.stem for path in LIBRARY.glob("*.py")}
    assert {*FIGURES, *OPENING, *STEPS} <= modules


STORAGE = "the storage database"
SHOWN = ("migrate.yml", "rollback.yml")


def test_how_long_the_clients_of_a_service_waited_is_shown(board: Board) -> None:
    """The sites of the playbook tests have no services; these lines of the guide are held here."""
    written = {"changed": True, "written_at": at(70), "outage_seconds": 6.6}
    [line] = texts(board.ends(event("service_proof", written, seconds=5.8)))
    assert line == "services campaign_db done 5.8 s repointed, smoke test passed; clients waited at most 6.6 s"
    returned = {"changed": True, "healthy_at": at(70), "outage_seconds": 2.04}
    [back] = texts(board.ends(event("service_proof", returned, host="image_db", seconds=0.4)))
    assert back == "services image_db done 400 ms repointed to the source, healthy; clients waited at most 2.1 s"
    campaign = ending_of("campaign_db", [(4.7, STORAGE, 6.6)])
    image = ending_of("image_db", [(4.7, STORAGE, 6.8), (0.241, "the source", 2.04)])
    shown = {name: [" ".join(each.split()) for each in picture.shown(name).splitlines()] for name in SHOWN}
    for name, lines in (("migrate.yml", [line, *campaign]), ("rollback.yml", [back, *campaign, *image])):
        for each in lines:
            assert any(each in found for found in shown[name]), f"docs/operator-guide.md shows something else: {each}"


def ending_of(database: str, outages: list[tuple[float, str, float]]) -> list[str]:
    """Its lines of the last words."""
    own = [{"seconds": seconds, "closed_at": at(1), "opened": opened} for seconds, opened, _ in outages]
    clients = [{"seconds": seconds, "seen": "x"} for _, _, seconds in outages]
    shut = {database: {"outages": own, "service_outages": clients}}
    content = {"outcome": "migrated", "run_id": "1", "verdict": "", "outages": shut, "next": []}
    lines = texts(ending.report({**content, "rollbacks": [], "path": ""}, check=False))
    return [each.removeprefix("Outage ") for each in lines[1 : 1 + len(outages)]]


def test_a_message_does_not_say_once_more_what_a_line_has_said(board: Board) -> None:
    list(board.starts("campaign_db", "rehearse"))
    list(board.ends(event("pg_rehearse", {"ticket": {}, "msg": "2 tables: copy 1 s"})))
    again = {"msg": "2 tables: copy 1 s\nticket in runs"}
    assert texts(board.ends(event("ansible.builtin.debug", again))) == ["rehearse campaign_db note ticket in runs"]
    assert texts(board.ends(event("ansible.builtin.debug", {"msg": "2 tables: copy 1 s"}))) == []


def test_the_moment_writes_are_refused_is_shown_at_once_and_stands_out(board: Board) -> None:
    list(board.starts("campaign_db", "fence"))
    [line] = board.ends(event("pg_fence", CLOSED, arguments=FENCE))
    assert line.tone == OUTAGE
    assert texts([line]) == [
        "fence campaign_db CLOSED 1.0 s source REFUSES WRITES from 02:00:43 UTC; waited 300 ms for open writes"
    ]
    closing_target = {"side": "target", "state": "closed"}
    assert not list(board.ends(event("pg_fence", CLOSED, arguments=closing_target))), "it keeps no one out yet"
    opened = {"changed": True, "opened_at": at(64), "outage_seconds": 20.9}
    [line] = board.ends(event("pg_cutover", opened))
    assert "storage database accepts writes, after 20.9 s" in line.text


def test_findings_of_database_and_services_make_one_line_and_warnings_are_grouped(board: Board) -> None:
    for host in ("campaign_db", "image_db"):
        list(board.starts(host, "services"))
        assert not list(board.ends(event("service_preflight_info", preflight(FINDING), host)))
        assert not list(board.starts(host, "preflight"))
        tables = [{"name": "a", "rows": 1000, "bytes": 5_000_000}]
        assert not list(board.ends(event("pg_preflight_info", preflight(tables=tables), host)))
    assert texts(board.play_ends()) == [
        "preflight campaign_db ok 1.0 s 1 table, about 1,000 rows, 5.0 MB; 0 blockers, 1 warning, 0 infos",
        "preflight image_db ok 1.0 s 1 table, about 1,000 rows, 5.0 MB; 0 blockers, 1 warning, 0 infos",
        "warning source.lock pid 5 (campaign_db, image_db): an old transaction",
    ]


def test_what_failed_is_said_once_however_often_a_rescue_repeats_it(board: Board) -> None:
    list(board.starts("campaign_db", "fence"))
    failed = event("pg_fence", {"msg": "no lock"}, status="failed")
    assert [line.tone for line in board.ends(failed)] == [BAD]
    list(board.starts("campaign_db", "report"))
    assert not list(board.ends(event("ansible.builtin.fail", {"msg": "no lock"}, status="failed")))
    list(board.starts("image_db", "preflight"))
    list(board.ends(event("pg_preflight_info", preflight(BLOCKER), "image_db")))
    blocked = event("ansible.builtin.assert", {"msg": "blockers"}, "image_db", status="failed")
    assert texts(board.ends(blocked)) == ["preflight image_db BLOCKED 1.0 s 1 blocker, 0 warnings, 0 infos"]


def test_a_step_that_was_done_before_is_no_change_whatever_it_returns(board: Board) -> None:
    kept = {
        "changed": False,
        "tables": [],
        "seconds": 0.0,
        "msg": "run 1 has copied it",
        "outcome": "equal",
        "dump_bytes": 5,
    }
    for module in ("pg_backup", "pg_copy", "pg_verify_info", "pg_cutover"):
        [line] = board.ends(event(module, kept))
        assert "no change" in line.text
        assert "run 1 has copied it" in line.text
        assert "/s" not in line.text


def test_what_a_role_says_to_the_operator_is_shown_in_check_mode_too() -> None:
    """The sentence of a consent is to be typed word by word."""
    board = Board(check=True)
    list(board.starts("campaign_db", "rollback"))
    said = {"msg": "may lose writes\n-e 'consent=lose them'"}
    shown = texts(board.ends(event("ansible.builtin.debug", said, role="backup")))
    assert shown == ["rollback campaign_db note may lose writes", "-e 'consent=lose them'"]
    assert not list(board.ends(event("ansible.builtin.debug", {"msg": "a table"}, role="preflight")))


def test_a_run_is_named_once_for_all_databases(board: Board) -> None:
    run = {"id": "1", "state": "migrating", "operator": "ops@control"}
    shown = [
        line
        for host in ("campaign_db", "image_db")
        for line in board.ends(event("run_journal", {"changed": True, "run": run}, host))
    ]
    assert texts(shown) == ["run 1 begins by ops@control"]
    assert not list(board.ends(event("run_journal", {"changed": True, "run": run | {"state": "migrated"}})))


def test_causes_are_shown_once_with_what_to_do() -> None:
    failures = ending.Failures()
    assert failures.add("campaign_db", "campaign_db: no space\nNext: make room")
    assert failures.add("image_db", "image_db: no space\nNext: make room")
    assert not failures.add(
        "campaign_db", "campaign_db: the cutover failed (copy: campaign_db: no space\nNext: make room)."
    )
    assert failures.add("lost", "gone")
    same = ending.Failures()
    for host in ("image_db", "campaign_db"):  # whichever failed first, the same words
        same.add(host, f"{host}: no space\nNext: make room")
        same.add(host, f"{host}: no space\nNext: make room")
    assert texts(ending.failures(same, ["campaign_db", "image_db"])) == [
        "Cause campaign_db, image_db: no space",
        "Fix make room",
    ]
    assert not list(ending.failures(same, [])), "what a rescue recovered is no failure at the end"


def test_blockers_end_with_their_fix() -> None:
    found = {"image_db": [BLOCKER], "campaign_db": [FINDING, BLOCKER]}
    blocker = ["Blocker source.type pid 5 (campaign_db, image_db)", "an old transaction", "more", "Fix end it"]
    assert texts(ending.findings(found, ["blocker"])) == blocker
    assert texts(ending.findings(found)) == [*blocker, "Warning source.lock pid 5 (campaign_db)", *blocker[1:]]


def test_whether_writes_are_refused_is_known_in_every_phase() -> None:
    writes = Writes()
    assert writes.lines() == []
    writes.ends(
        "campaign_db",
        "run_journal_info",
        {},
        {"databases": [database(state="migrating", last="copy", phase_state="running")]},
    )
    assert writes.lines() == ["campaign_db: REFUSED since 02:00:43 UTC"]
    writes.begins("campaign_db", "pg_cutover", {})
    assert "NOT CERTAIN" in writes.lines()[0]
    writes.ends("campaign_db", "pg_cutover", {}, {"opened_at": at(64)})
    assert writes.lines() == ["campaign_db: accepted"]
    writes.begins("campaign_db", "pg_fence", {"side": "source", "state": "open"})
    assert writes.lines() == ["campaign_db: accepted"], "an open one stays open"
    closing = {"side": "target", "state": "closed"}
    writes.begins("campaign_db", "pg_fence", closing)
    writes.ends("campaign_db", "pg_fence", closing, CLOSED)
    assert writes.lines() == ["campaign_db: accepted"], "a target that was not cut over keeps no one out"
    writes.begins("campaign_db", "pg_fence", closing | {"rollback": True})
    assert "the fence was being closed" in writes.lines()[0]
    writes.ends("campaign_db", "pg_fence", closing | {"rollback": True}, CLOSED)
    assert writes.refused() == {"campaign_db": at(43.5)}
    writes.begins("campaign_db", "pg_rollback", {})
    assert "the source was being opened" in writes.lines()[0]
    writes.ends("campaign_db", "pg_rollback", {}, {"opened_at": at(64)})
    assert writes.lines() == ["campaign_db: accepted"]


GIVEN = {
    "inventory": ("/ops/inventories/production", "/ops/more"),
    "extra_vars": (
        "consolidation_confirm=yes",
        "password=5ecret consolidation_backup_directory='/srv/my dumps'",
        '{"token": "5ecret", "hooks": ["5ecret"], "copy_workers": 8, "preflight_accepted": ["a b"]}',
        "{'follow_hold': true}",
        "@more.yml",
        "unreadable='5ecret",
        '{"rollback_consent": "a sentence"}',
    ),
    "subset": "campaign_db",
    "tags": ["all"],
    "ask_vault_pass": True,
    "remote_user": "ops",
}


def test_a_command_carries_what_was_given_shows_no_secret_and_runs_from_here() -> None:
    shown = command.again("/ops/migrate.yml", GIVEN, Path("/ops"))
    assert "5ecret" not in shown
    assert "a sentence" not in shown, "a consent is typed for one command"
    program, given = shown.split(" migrate.yml ")
    assert program.endswith("ansible-playbook")
    assert given == (
        "-i inventories/production -i more --ask-vault-pass --user ops"
        """ -e password="${password:?give it again}" -e '{"consolidation_backup_directory": "/srv/my dumps"}'"""
        """ -e token="${token:?give it again}" -e "${hooks:?give it again, as JSON}\""""
        """ -e '{"copy_workers": 8}' -e '{"preflight_accepted": ["a b"]}' -e '{"follow_hold": true}' -e @more.yml"""
        """ -e "${VARIABLES:?give them again}" --limit campaign_db -e consolidation_confirm=yes"""
    )
    typed = command.typed("ansible-playbook rollback.yml -i /ops/inventories/production", Path("/ops"))
    assert typed.endswith("ansible-playbook rollback.yml -i inventories/production")


def test_a_command_with_a_secret_does_not_run_before_it_is_given_again() -> None:
    options = " ".join(command.carried({"extra_vars": ["password=5ecret copy_workers=8"]}))
    shell = ["sh", "-c", f"printf '%s\n' {options}"]
    refused = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "password: give it again" in refused.stderr
    run = subprocess.run(shell, env={"password": "n e w"}, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["-e", "password=n e w", "-e", "copy_workers=8"]


def test_the_next_command_has_every_option_of_the_roles_that_is_plain() -> None:
    specs = [
        yaml.safe_load(path.read_text())["argument_specs"]
        for path in (LIBRARY.parent / "roles").glob("*/meta/argument_specs.yml")
    ]
    found = {
        name: option
        for spec in specs
        for entry in spec.values()
        for name, option in entry.get("options", {}).items()
        if not option.get("no_log")
    }
    kinds = [("bool", None), ("int", None), ("float", None), ("path", None), ("str", None), ("list", "str")]
    plain = {name for name, option in found.items() if (option["type"], option.get("elements")) in kinds}
    # What the playbooks hand over, and the text of a certificate.
    internal = {name for name in plain if name.startswith(("command_line_", "journal_", "notices_", "window_"))} | {
        "backup_run_id",
        "consolidation_run_id",
        "preflight_resume",
        "rollback_keep",
        "rollback_take_over",
        "runner_ca_certificate",
    }
    assert plain - internal - FOR_ONE_COMMAND == OF_ROLES | {name for name in plain if name in OF_THE_INVENTORY}
    assert found.keys() >= OF_ROLES


def test_a_rollback_has_no_tags_of_the_migration() -> None:
    seen = Seen("migrate.yml", {"tags": ["copy"], "skip_tags": ["backup"], "subset": "image_db"}, Path("/ops"))
    assert seen.command().endswith("migrate.yml --limit image_db --tags copy --skip-tags backup")
    assert seen.command("rollback.yml").endswith("rollback.yml --limit image_db")


def test_the_status_command_has_what_reaching_the_hosts_needs() -> None:
    seen = Seen("migrate.yml", GIVEN, Path("/ops"))
    assert "consolidation status -i inventories/production -i more -- --ask-vault-pass --user ops -e " in seen.status()
    assert Seen("migrate.yml", {"inventory": ["/ops/a"]}, Path("/ops")).status().endswith("status -i a")


def test_who_takes_writes_is_of_a_look_after_the_failure(tmp_path: Path) -> None:
    seen = Seen("migrate.yml", {}, tmp_path)
    assert texts(seen.who_writes(["campaign_db"])) == []
    seen.ends("campaign_db", "run_journal_info", {}, {"writers": "right now the source takes writes"})
    seen.fails("campaign_db", "ansible.builtin.assert", {})
    assert texts(seen.who_writes(["campaign_db"])) == ["Writes campaign_db: right now the source takes writes"]
    seen.fails("campaign_db", "pg_cutover", {})
    [line] = texts(seen.who_writes(["campaign_db"]))
    assert "was not looked at since this failure" in line
    assert "consolidation status" in line
    seen.fails("campaign_db", "pg_abandon", {"writers": "right now the source takes no writes"})
    assert texts(seen.who_writes(["campaign_db"])) == ["Writes campaign_db: right now the source takes no writes"]


def test_a_command_ends_with_its_own_run_not_with_an_older_one(tmp_path: Path) -> None:
    """--limit reports the run that it has worked on, another database's may have been rolled back days ago."""
    seen = Seen("migrate.yml", {}, tmp_path)
    empty = {"verdict": "so it is.", "outages": {}, "next": [], "rollbacks": [], "path": "report.html"}
    seen.ends("campaign_db", "run_journal", {}, {"run": {"id": "new"}})
    for run, outcome in (("new", "migrated"), ("old", "rolled back")):
        seen.ends("campaign_db", "run_report", {}, {"report": {**empty, "run_id": run, "outcome": outcome}})
    assert texts(seen.at_end([])) == ["MIGRATED run new: so it is.", "Report report.html"]
