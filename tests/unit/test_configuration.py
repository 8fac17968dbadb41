"""Where Ansible ignores ansible.cfg, the commands say so instead of not finding this or that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")


@pytest.mark.parametrize("playbook", ["migrate.yml", "rollback.yml", "playbooks/repair.yml"])
def test_another_working_folder(tmp_path: Path, playbook: str) -> None:
    (tmp_path / "hosts").write_text("[databases]\ncampaign_db ansible_connection=local\n", encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(
        [PROGRAM, "-i", "hosts", ROOT / playbook],
        cwd=tmp_path,
        env={**environment, "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"Ansible does not use {ROOT}/ansible.cfg" in done.stdout + done.stderr
