"""The report role and the callback, on a real journal, as ansible-playbook runs them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from consolidation import evidence as run_directory
from consolidation.errors import CopyError
from consolidation.journal import facts as journal_facts
from consolidation.journal import records, runs
from consolidation.journal.phase import recorded
from consolidation.lineage import alembic as lineage
from consolidation.model import Database
from consolidation.postgres.connection import session
from tests.cluster import Database as ServerDatabase
from tests.cluster import digest_of_everything

ROOT = Path(__file__).parents[3]
CONTROL = {"host": "control", "pid": 1, "started": 1}
PLAY = """
- name: Report
  hosts: databases
  gather_facts: false
  tasks:
    - name: Fail, and fix it
      block:
        - name: Fail
          ansible.builtin.fail:
            msg: A failure that was fixed
      rescue:
        - name: Fix it
          ansible.builtin.debug:
    - name: Say a secret
      ansible.builtin.debug:
        msg: "the password is 5ecret, {{ item.password }}"
      loop: [{password: 5ecret}]
      no_log: true
    - name: Name the run
      ansible.builtin.debug:
        msg: "odd\\r\\e[2J name"
    - name: Report
      ansible.builtin.import_role:
        name: report
"""


@pytest.fixture
def databases(source: ServerDatabase, target: ServerDatabase) -> list[Database]:
    """Two databases in one run: campaign_db migrated, image_db failed in the copy."""
    found = [Database(name, source.settings, "public", (), target.settings) for name in ("campaign_db", "image_db")]
    lineage.upgrade(target.settings, "journal")
    with session(target.settings, "test") as conn:
        begun = [runs.begin(conn, database.name, CONTROL, None, rollback=False)[0] for database in found]
    with recorded(found[0], "copy") as work:
        work.result.update(run_id=work.run.id, tables=[{"name": "campaigns", "rows": 3}])
    with session(target.settings, "test") as conn:
        runs.finish(conn, begun[0], records.MIGRATED)
    with pytest.raises(CopyError), recorded(found[1], "copy"):
        raise CopyError("disk full", hint="make room")
    return found


def test_facts_of_the_whole_run_from_either_database(databases: list[Database]) -> None:
    for database in databases:
        facts = journal_facts.read(database)
        json.dumps(facts)
        [campaign, image] = facts["databases"]
        assert (campaign["name"], campaign["state"], campaign["active"]) == ("campaign_db", "migrated", False)
        assert campaign["phases"][0]["result"]["tables"] == [{"name": "campaigns", "rows": 3}]
        assert (image["phases"][0]["state"], image["phases"][0]["error"]) == ("failed", "disk full\nNext: make room")
        assert facts["run"]["target_version"].startswith("18.")


def test_a_running_database_is_distinguished_from_one_that_died(databases: list[Database]) -> None:
    with recorded(databases[1], "copy"):
        [campaign, image] = journal_facts.read(databases[0])["databases"]
    assert (campaign["active"], image["active"]) == (False, True)


def test_loads_are_summed_over_their_chunks(databases: list[Database], target: ServerDatabase) -> None:
    run_id = journal_facts.read(databases[0])["run"]["id"]
    target.execute(
        'INSERT INTO consolidation.table_load (run_id, database, table_name, state, deferred, "binary")'
        " VALUES (%(run)s, 'image_db', 'images', 'loading', '[]', true),"
        " (%(run)s, 'image_db', 'overlays', 'loading', '[]', true);"
        "INSERT INTO consolidation.chunk (run_id, database, table_name, number, state, estimated_bytes, rows, bytes)"
        " VALUES (%(run)s, 'image_db', 'images', 0, 'done', 9, 2, 20),"
        " (%(run)s, 'image_db', 'images', 1, 'done', 9, 3, 30),"
        " (%(run)s, 'image_db', 'images', 2, 'queued', 9, NULL, NULL)",
        {"run": run_id},
    )
    [images, overlays] = journal_facts.read(databases[0])["databases"][1]["loads"]
    assert (images["rows"], images["bytes"], images["chunks"]) == (5, 50, 3)
    assert (overlays["rows"], overlays["chunks"]) == (0, 0)


def test_no_journal_is_no_run(source: ServerDatabase, target: ServerDatabase) -> None:
    database = Database("campaign_db", source.settings, "public", (), target.settings)
    found = journal_facts.read(database)
    assert (found["run"], found["databases"], found["active"]) == (None, [], False)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the report role over the databases with ansible-playbook."""

    def run(databases: list[Database], *arguments: str) -> subprocess.CompletedProcess[str]:
        hosts = {
            database.name: {
                "consolidation_database": {
                    "name": database.name,
                    "source": asdict(database.source),
                    "target": asdict(database.target),
                }
            }
            for database in databases
        }
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "consolidation_run_directory": str(tmp_path / "runs"),
        }
        (tmp_path / "inventory.json").write_text(
            json.dumps({"all": {"vars": variables, "children": {"databases": {"hosts": hosts}}}})
        )
        (tmp_path / "play.yml").write_text(PLAY)
        command = ["ansible-playbook", str(tmp_path / "play.yml"), "-i", str(tmp_path / "inventory.json"), *arguments]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


def test_the_role_writes_the_report_once_and_the_log_without_secrets(
    databases: list[Database], target: ServerDatabase, tmp_path: Path, play: Callable[..., Any]
) -> None:
    before = digest_of_everything(target.server)

    planned = play(databases, "--check", "--diff", "-vvv")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "changed=1" in planned.stdout
    assert "report.html" in planned.stdout
    assert not re.search("^Report ", planned.stdout, re.MULTILINE)
    assert not (tmp_path / "runs").exists()

    secret = tmp_path / "the vault's"
    secret.write_text("5ecret")
    (tmp_path / "more.yml").write_text("{more: 5ecret}")
    options = ["--vault-password-file", str(secret), "-e", f"@{tmp_path}/more.yml", "-e", "other=5ecret copy_workers=3"]
    real = play(databases, *options)
    assert real.returncode == 0, real.stdout + real.stderr
    assert "A failure that was fixed" in real.stdout
    assert "Cause" not in real.stdout
    [directory] = (tmp_path / "runs").iterdir()
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir() if path.is_file()} == dict.fromkeys(
        ("report.html", "report.json", "log.txt", "events.jsonl", "SHA256SUMS"), 0o600
    )
    assert directory.stat().st_mode & 0o777 == 0o700
    assert "image_db failed in phase copy; campaign_db migrated." in real.stdout
    commands = re.findall(r"^(?:Resume|Rollback) +(\S*ansible-playbook .*)$", real.stdout, re.MULTILINE)
    reach = [("migrate.yml", "image_db"), ("rollback.yml", "image_db"), ("rollback.yml", "campaign_db")]
    for command, (playbook, name) in zip(commands, reach, strict=True):
        carried = ["--vault-password-file", str(secret), "-e", f"@{tmp_path}/more.yml"]
        carried += ["-e", "other=${other:?give it again}", "-e", "copy_workers=3"]
        inventory = ["-i", str(tmp_path / "inventory.json")]
        words = [playbook, *inventory, *carried, "-e", "consolidation_confirm=yes", "--limit", name]
        assert shlex.split(command)[1:] == words
    assert f"Report     {directory / 'report.html'}" in real.stdout
    index = (directory / "SHA256SUMS").read_bytes()
    run_directory.index(directory)
    assert (directory / "SHA256SUMS").read_bytes() == index

    log = (directory / "log.txt").read_text(encoding="utf-8")
    assert "Report | Write the report on the control node | campaign_db | changed" in log
    assert "5ecret" not in log
    assert "hidden by no_log" in log
    assert "\x1b" not in log
    assert "\r" not in log

    again = play(databases, *options)
    assert again.returncode == 0
    assert "changed=0" in again.stdout
    assert "changed=1" not in again.stdout
    assert digest_of_everything(target.server) == before


def test_a_failure_ends_with_what_and_what_next(
    databases: list[Database], target: ServerDatabase, play: Callable[..., Any]
) -> None:
    target.execute("ALTER ROLE consolidation NOLOGIN")
    failed = play(databases)
    assert failed.returncode != 0
    last = failed.stdout[failed.stdout.index("PLAY RECAP") :]
    assert "Cause      campaign_db, image_db: cannot connect to storage" in last
    assert last.count("cannot connect to storage") == 1
    assert "Fix        check host" in last
    with pytest.raises(psycopg2.OperationalError), target.connection("consolidation"):
        pass
