"""A playbook ends where Ansible would go on: its callback interrupts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = Path(sys.executable).with_name("ansible-playbook")
FILTER = """
import os, signal

class Deleted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # Python handles a signal between two of its steps
            pass

def lose_ctrl_c(name):
    Deleted()
    return name

class FilterModule:
    def filters(self):
        return {"lose_ctrl_c": lose_ctrl_c}
"""
PLAY = """
- hosts: localhost
  gather_facts: false
  strategy: {strategy}
  tasks:
    - name: "{{{{ 'A name is a template of the main process' | lose_ctrl_c }}}}"
      ansible.builtin.command: sleep 60
    - name: It went on
      ansible.builtin.debug:
"""


def played(directory: Path, further: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """ansible-playbook with the play and the filters that lie in the directory."""
    environment = os.environ | {
        "ANSIBLE_FILTER_PLUGINS": str(directory / "filters"),
        "ANSIBLE_STDOUT_CALLBACK": "default",
        **further,
    }
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    command = [PROGRAM, directory / "play.yml", "-i", "localhost,", "-e", json.dumps(local)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_a_ctrl_c_that_ansible_lost_ends_the_playbook_all_the_same(tmp_path: Path, strategy: str) -> None:
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters/lost.py").write_text(FILTER)
    (tmp_path / "play.yml").write_text(PLAY.format(strategy=strategy))
    begin = time.monotonic()
    done = played(tmp_path, {})
    assert "Exception ignored in" in done.stderr, "the test lost no Ctrl-C"
    assert done.returncode == 99, done.stdout + done.stderr
    assert "STOPPED" in done.stdout
    assert "It went on" not in done.stdout
    assert time.monotonic() - begin < 50


AT_FORKS = """
import os, signal

armed = []

def interrupt():
    if armed:
        armed.clear()
        os.kill(os.getpid(), signal.SIGINT)

os.register_at_fork(before=interrupt)  # as logging does: Python ignores what is raised in it
"""
ARMED = """
def lose_ctrl_c(name):
    import sitecustomize
    sitecustomize.armed.append(True)
    return name

class FilterModule:
    def filters(self):
        return {"lose_ctrl_c": lose_ctrl_c}
"""


def test_a_ctrl_c_while_ansible_forks_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters/lost.py").write_text(ARMED)
    (tmp_path / "sitecustomize.py").write_text(AT_FORKS)
    (tmp_path / "play.yml").write_text(PLAY.format(strategy="linear"))
    done = played(tmp_path, {"PYTHONPATH": str(tmp_path)})
    assert "Exception ignored in" not in done.stderr
    assert done.returncode == 99, done.stdout + done.stderr
    assert "STOPPED" in done.stdout
    assert "It went on" not in done.stdout
