"""The role and the module, run by ansible-playbook as an operator does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Database
from tests.modules import option
from tests.preflight_world import World, create

ROOT = Path(__file__).parents[3]
PLAY = [
    {
        "name": "Preflight",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"name": "Preflight", "ansible.builtin.import_role": {"name": "preflight"}}],
    }
]


@pytest.fixture
def world(source: Database, target: Database, tmp_path: Path) -> World:
    return create(source, target, tmp_path)


def play(world: World, directory: Path, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run the role for campaign_db, as the read-only roles."""
    (directory / "play.yml").write_text(json.dumps(PLAY))
    given = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "consolidation_database": option(world.database),
        "consolidation_backup_directory": str(world.options.backup_directory),
        "consolidation_postgresql_bin": str(world.options.postgresql_bin),
        "consolidation_run_directory": str(directory / "runs"),
        "preflight_source_reader": {"user": "consolidation_reader"},
        "preflight_target_reader": {"user": "consolidation_reader", "passfile": str(directory / "reader")},
        **variables,
    }
    inventory = {"all": {"hosts": {"campaign_db": given}}}
    (directory / "inventory.json").write_text(json.dumps(inventory, default=str))
    command = ["ansible-playbook", "-i", str(directory / "inventory.json"), str(directory / "play.yml")]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_findings_are_shown_kept_and_stop_the_play(world: World, tmp_path: Path) -> None:
    world.owner("CREATE VIEW v AS SELECT 1 AS one")
    played = play(world, tmp_path)
    assert played.returncode != 0
    assert "campaign_db: preflight found blockers: source.object.view" in played.stdout
    assert "BLOCKER  source.object.view" in played.stdout
    assert "DROP VIEW public.v;" in played.stdout
    evidence = tmp_path / "runs" / "preflight" / "campaign_db" / "preflight.json"
    kept = json.loads(evidence.read_text())
    assert kept["summary"]["blocker_ids"] == ["source.object.view"]
    assert kept["tables"][0]["name"] == "public.campaigns"
    assert evidence.stat().st_mode & 0o777 == 0o600

    played = play(world, tmp_path, preflight_accepted=["source.object.view public.v"])
    assert played.returncode == 0, played.stdout
    assert json.loads(evidence.read_text())["summary"]["warning"] == 1
