"""A module in a fork does what it does in an interpreter of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consolidation.module import fork

ROOT = Path(__file__).resolve().parents[3]
MODULE = """
import json, os, signal, sys
if __name__ == "__main__":
    wanted = json.load(sys.stdin)
    print(json.dumps([os.getpid(), os.getcwd(), os.environ.get("WANTED"), os.environ.get("PREPARED"), sys.argv]))
    print("an error", file=sys.stderr)
    exec(wanted)
"""


def _prepare() -> None:
    os.environ["PREPARED"] = "yes"


def _run(directory: Path, then: str) -> tuple[int, list[object], str]:
    module = directory / "a_module.py"
    module.write_text(MODULE, encoding="utf-8")
    status, output, errors = fork.run(
        module, json.dumps(then).encode(), directory=directory, environment={"WANTED": "ä"}, prepare=_prepare
    )
    return status, json.loads(output), errors.decode()


def test_it_is_a_process_of_its_own_with_directory_and_environment(tmp_path: Path) -> None:
    before, here = dict(os.environ), Path.cwd()
    status, (process, *others), errors = _run(tmp_path, "sys.exit(0)")
    assert (status, others, errors) == (0, [str(tmp_path), "ä", "yes", [str(tmp_path / "a_module.py")]], "an error\n")
    assert process != os.getpid()
    assert (dict(os.environ), Path.cwd()) == (before, here)


@pytest.mark.parametrize(
    ("then", "status", "error"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit('in words')", 1, ""),
        ("None", 0, ""),
        ("raise ValueError('unexpected')", 1, "ValueError: unexpected"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL, ""),
        # Ansible's own handler would end the whole group of the worker.
        ("os.kill(os.getpid(), signal.SIGTERM)", 128 + signal.SIGTERM, ""),
    ],
)
def test_its_end_is_said(tmp_path: Path, then: str, status: int, error: str) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(99))
    try:
        found, _, errors = _run(tmp_path, f"sys.stdout.flush(); {then}")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found == status
    assert error in errors


def test_a_fork_that_does_not_come_to_its_module_does_not_go_on_with_the_callers_work(tmp_path: Path) -> None:
    module = tmp_path / "a_module.py"
    module.write_text("print('never')", encoding="utf-8")
    status, output, errors = fork.run(module, b"", directory=tmp_path / "none", environment={}, prepare=lambda: None)
    assert (status, output) == (1, b"")
    assert b"FileNotFoundError" in errors


def test_what_a_module_imports_is_there_before_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "its_library.py").write_text("import os\nPROCESS = os.getpid()\n", encoding="utf-8")
    module = tmp_path / "importing.py"
    module.write_text(
        "import its_library\nif __name__ == '__main__':\n    print(its_library.PROCESS)\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    fork.load(module)
    _, output, _ = fork.run(module, b"", directory=tmp_path, environment={}, prepare=lambda: None)
    assert int(output) == os.getpid()


def test_a_module_that_cannot_be_imported_here_may_be_elsewhere(tmp_path: Path) -> None:
    module = tmp_path / "elsewhere.py"
    module.write_text("import not_installed_here\n", encoding="utf-8")
    fork.load(module)
    fork.load(tmp_path / "none.py")


CALLER = """
import sys
from pathlib import Path
from consolidation.module import fork
fork.run(Path(sys.argv[1]), b"", directory=Path("."), environment={}, prepare=lambda: None)
"""
WAITING = """
import os, time
from consolidation.module.failures import failures
if __name__ == "__main__":
    os.write(int(os.environ["SAY"]), b"%d\\n" % os.getpid())
    with failures(None):
        time.sleep(600)
"""


def test_a_module_whose_caller_is_killed_ends(tmp_path: Path) -> None:
    module = tmp_path / "waiting.py"
    module.write_text(WAITING, encoding="utf-8")
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", CALLER, str(module)], pass_fds=[writing], env={**os.environ, "SAY": str(writing)}
    ) as caller:
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            assert int(said.readline()) != caller.pid
            caller.kill()
            assert select.select([said], [], [], 10)[0], "it goes on"
            assert said.read() == b"", "it has ended: it held the other end"


@pytest.mark.parametrize(
    ("delegate_to", "forked"), [("own", True), ("other", False)], ids=["interpreter its own", "another interpreter"]
)
@pytest.mark.parametrize("host", ["own", "other"])
def test_ansible_runs_our_modules_in_a_fork_where_the_interpreter_is_its_own(
    tmp_path: Path, host: str, delegate_to: str, forked: bool
) -> None:
    """It is the host's that the module runs on, whichever host the task is of."""
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    other.chmod(0o700)
    interpreters = {"own": sys.executable, "other": str(other)}
    hosts = {name: {"ansible_python_interpreter": path} for name, path in interpreters.items()}
    task = {"runner_info": {}} | ({} if host == delegate_to else {"delegate_to": delegate_to})
    play = [{"hosts": host, "connection": "local", "gather_facts": False, "tasks": [task]}]
    inventory, playbook = tmp_path / "hosts.json", tmp_path / "play.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": {"ansible_connection": "local"}}}))
    playbook.write_text(json.dumps(play))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-vvv", "-i", inventory, playbook],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "fingerprint" in done.stdout
    assert ("EXEC /bin/sh" not in done.stdout) == forked
