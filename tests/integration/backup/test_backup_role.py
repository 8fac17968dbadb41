"""The role backup as ansible-playbook runs it: check, for real, again; and its entry point restore."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consolidation.model import Database
from tests import backups
from tests.cluster import Cluster
from tests.cluster import Database as OnServer
from tests.modules import option

ROOT = Path(__file__).parents[3]
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: backup, tasks_from: "{{ entry }}"}
"""


@pytest.fixture
def database(source: OnServer, target: OnServer) -> Database:
    backups.fill(source)
    database = backups.begin(source, target)
    return replace(database, run_id=target.value("SELECT id FROM consolidation.run"))


class Role:
    """Plays the role on an inventory of one database."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.directory = directory
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "consolidation_database": option(database),
            "consolidation_run_id": database.run_id,
            "consolidation_backup_directory": str(directory / "dumps"),
            "consolidation_run_directory": str(directory / "runs"),
            "consolidation_postgresql_bin": str(backups.tools()),
        }
        (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"campaign_db": host}}}))
        (directory / "play.yml").write_text(PLAYBOOK)

    def play(self, entry: str, *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        given = json.dumps({"entry": entry, **variables})
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [program, "-i", self.directory / "hosts.json", self.directory / "play.yml", "-e", given, *options]
        environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def files(self, below: str) -> list[str]:
        return sorted(path.name for path in (self.directory / below).rglob("*") if path.is_file())


def test_role_dumps_once_and_restores_with_consent(
    database: Database, tmp_path: Path, source: OnServer, target: OnServer, cluster: Cluster
) -> None:
    role = Role(database, tmp_path)
    checked = role.play("main", "--check", "--diff")
    assert "restore drill: database consolidation_drill_" in checked.stdout, checked.stdout + checked.stderr
    assert "changed=1" in checked.stdout
    assert role.files("dumps") == []
    played = role.play("main", "-vvv")
    assert played.returncode == 0, played.stdout
    passwords = [line.rsplit(":", 1)[1] for line in cluster.passfile.read_text().splitlines()]
    assert not [password for password in passwords if password in played.stdout + played.stderr]
    assert "manifest.json" in role.files("dumps")
    [evidence] = target.rows("SELECT result FROM consolidation.phase WHERE name = 'backup'")[0]
    assert evidence["drill"]["tables"] == len(evidence["tables"]) == 7
    assert "changed=0" in role.play("main").stdout

    backups.roll_back(database)
    source.execute("DELETE FROM chapters")
    refused = role.play("restore")
    assert refused.returncode != 0
    assert "give the consent exactly so: lose writes to campaign_db since" in " ".join(refused.stdout.split())
    told = " ".join(role.play("restore", "--check", "--diff").stdout.split())
    sentence = told.split("consent reads: ")[1][: len("lose writes to campaign_db since 2026-11-22T01:02:03Z")]
    assert source.value("SELECT count(*) FROM chapters") == 0
    restored = role.play("restore", backup_consent=sentence)
    assert restored.returncode == 0, restored.stdout
    assert source.value("SELECT count(*) FROM chapters") == 1500
