"""Where Ansible ignores ansible.cfg, the commands say so instead of not finding this or that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")


PLAYBOOKS = ["migrate.yml", "rollback.yml", "playbooks/repair.yml"]
# What Ansible reads of a checkout.
FOLDERS = ("playbooks", "roles", "library", "plugins", "src")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_another_working_folder(tmp_path: Path, playbook: str) -> None:
    _refused(tmp_path, ROOT, playbook)


@pytest.mark.parametrize("playbook", PLAYBOOKS[::2])
def test_a_checkout_that_everyone_may_write(tmp_path: Path, playbook: str) -> None:
    """Ansible warns, and ignores ansible.cfg there."""
    checkout = tmp_path / "checkout"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, checkout / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("ansible.cfg", "migrate.yml", "rollback.yml"):
        shutil.copy(ROOT / name, checkout)
    (checkout / "collections").symlink_to(ROOT / "collections")
    checkout.chmod(0o777)
    _refused(checkout, checkout, playbook)
    checkout.chmod(0o755)  # the advice helps
    assert "does not use" not in _play(checkout, checkout / playbook).stdout


def test_no_configuration_gives_a_play_another_strategy() -> None:
    """A blocker of one database stops all of them because the plays before the fence go in step."""
    plays = [
        play
        for path in (*ROOT.glob("*.yml"), *ROOT.glob("playbooks/*.yml"))
        for play in yaml.safe_load(path.read_text(encoding="utf-8")) or []
        if isinstance(play, dict) and "hosts" in play
    ]
    assert len(plays) > 9
    assert [play["name"] for play in plays if "strategy" not in play] == []
    free = {play["name"].partition(",")[0] for play in plays if play["strategy"] != "ansible.builtin.linear"}
    assert not {name for name in free if name.startswith(("Check", "Preflight", "Prepare"))}


def _refused(folder: Path, checkout: Path, playbook: str) -> None:
    done = _play(folder, checkout / playbook)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"Ansible does not use {checkout}/ansible.cfg" in said
    assert "chmod o-w" in said


def _play(folder: Path, playbook: Path) -> subprocess.CompletedProcess[str]:
    (folder / "hosts").write_text("[databases]\ncampaign_db ansible_connection=local\n", encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return subprocess.run(
        [PROGRAM, "-i", "hosts", playbook],
        cwd=folder,
        env={**environment, "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
