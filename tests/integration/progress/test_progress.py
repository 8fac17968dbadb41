"""What an operator sees of copy and verify while they work, on a terminal and without, and what Ctrl-C leaves."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from consolidation.journal.phase import recorded
from consolidation.progress import reporter as progress
from tests.cluster import Database
from tests.modules import run_module
from tests.terminal import CTRL_C, Terminal
from tests.window import Window

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
MARK = "CONSOLIDATION_TEST"
TABLES = ['"[red]Two\nLines"', "one", "three", "four"]
ROWS = 4_000
DDL = "".join(f"CREATE TABLE {name} (id int PRIMARY KEY, secret text);" for name in TABLES)
DATA = "".join(f"INSERT INTO {name} SELECT i, 'row data' FROM generate_series(1, {ROWS}) i;" for name in TABLES)
# Loading a table takes about two seconds.
SLOW = """
CREATE FUNCTION public.slow(id int) RETURNS bool LANGUAGE plpgsql AS
    'BEGIN IF id % 20 = 0 THEN PERFORM pg_sleep(0.01); END IF; RETURN true; END';
""" + "".join(f"ALTER TABLE campaign_db.{name} ADD CHECK (public.slow(id));" for name in TABLES)
PLAYBOOK = """
- name: Copy
  hosts: all
  gather_facts: false
  tasks:
"""
TASK = "    - ansible.builtin.import_role: {name: ROLE}\n"


@pytest.fixture
def window(source: Database, target: Database) -> Window:
    source.execute(DDL + DATA, role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.own_schema(DDL)
    window.fence("source", "closed")
    return window


@pytest.fixture
def slow(window: Window) -> Window:
    window.target.execute(SLOW)
    return window


class Playbook:
    """Phases of one database."""

    def __init__(
        self, window: Window, directory: Path, phases: Sequence[str] = ("copy", "verify"), **connection: str
    ) -> None:
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "consolidation_database": window.options,
            "consolidation_run_id": window.state().run.id,
            "consolidation_backup_directory": str(directory),
            "consolidation_run_directory": str(directory / "runs"),
            **connection,
        }
        (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"campaign_db": host}}}))
        (directory / "play.yml").write_text(PLAYBOOK + "".join(TASK.replace("ROLE", phase) for phase in phases))
        self.command = [BIN / "ansible-playbook", "-i", directory / "hosts.json", directory / "play.yml"]
        self.file = directory / "campaign_db.progress.json"
        """The progress file."""

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", MARK: str(self.file), **more}

    def processes(self) -> list[str]:
        """Process ids of what a run has left; whatever it started has its environment."""
        mark = f"{MARK}={self.file}\0".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                found += [path.parent.name] if mark in path.read_bytes() else []
        return found

    def on_a_terminal(self) -> Terminal:
        return Terminal(self.command, self.environment(), ROOT)

    def without(self, **environment: str) -> str:
        done = subprocess.run(
            self.command, cwd=ROOT, env=self.environment(**environment), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def playbook(slow: Window, tmp_path: Path) -> Playbook:
    return Playbook(slow, tmp_path)


def wait_until_alone(window: Window) -> None:
    """No backend of the runbook is left on either side."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'consolidation%'"
    deadline = time.monotonic() + 20
    while window.source.value(query) or window.target.value(query):
        assert time.monotonic() < deadline, "backends of the runbook are left"
        time.sleep(0.1)


def test_the_file_and_the_journal_tell_how_far_it_is(
    slow: Window, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(progress, "JOURNAL_SECONDS", 0.1)
    path = tmp_path / "progress.json"
    told: list[progress.Progress] = []
    entered: list[object] = []
    write, enter = progress._Teller.write, progress._Teller._enter

    def keep(self: progress._Teller, state: progress.Progress) -> None:
        write(self, state)
        told.append(state)

    def look(self: progress._Teller, state: progress.Progress) -> None:
        enter(self, state)
        found = slow.target.rows("SELECT result -> 'progress' FROM consolidation.phase WHERE name = 'copy'")
        entered.extend(shown for (shown,) in found)  # none before the phase has begun

    monkeypatch.setattr(progress._Teller, "write", keep)
    monkeypatch.setattr(progress._Teller, "_enter", look)
    given = {"database": slow.options, "run_id": slow.state().run.id, "workers": 2, "progress_file": str(path)}
    result = run_module(capsys, "pg_copy", False, given)
    assert result["changed"], result

    under_way = [pace for state in told for pace in state.tables if pace.state == "copying"]
    assert {pace.table for pace in under_way} == {"[red]Two\nLines", "one", "three", "four"}
    assert any(0 < pace.rows < ROWS for pace in under_way), "rows of a COPY under way are seen"
    assert all(0 <= pace.share < 1 for pace in under_way)
    assert any(pace.rate and pace.eta for pace in under_way)
    last = progress.read(path)
    assert last is not None
    assert last == told[-1]
    assert (last.ended, last.phase, last.database, last.run_id) == (True, "copy", "campaign_db", result["run_id"])
    assert [(pace.rows, pace.share, pace.state) for pace in last.tables] == [(ROWS, 1.0, "done")] * 4
    assert (last.total.rows, last.total.state) == (4 * ROWS, "done")
    assert last.total.bytes == sum(table["bytes"] for table in result["tables"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "row data" not in path.read_text()
    assert any(entered), "the journal shows it while it works"
    assert slow.target.value("SELECT result ? 'progress' FROM consolidation.phase WHERE name = 'copy'") is False


def test_verification_tells_the_file_and_the_journal_too(
    window: Window, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    window.copy()
    monkeypatch.setattr(progress, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(progress, "JOURNAL_SECONDS", 0)
    told = "SELECT result -> 'progress' FROM consolidation.phase WHERE name = 'verify'"
    entered = threading.Event()
    enter, add = progress._Teller._enter, progress.Tally.add

    def look(self: progress._Teller, state: progress.Progress) -> None:
        enter(self, state)
        if any(shown for (shown,) in window.target.rows(told)):
            entered.set()

    def not_before(self: progress.Tally, table: str, rows: float, share: float) -> None:
        entered.wait(30)
        add(self, table, rows, share)

    monkeypatch.setattr(progress._Teller, "_enter", look)
    monkeypatch.setattr(progress.Tally, "add", not_before)
    path = tmp_path / "progress.json"
    given = {
        "database": window.options,
        "run_id": window.state().run.id,
        "record": True,
        "workers": 2,
        "progress_file": str(path),
    }
    result = run_module(capsys, "pg_verify_info", False, given)
    assert result["outcome"] == "equal", result

    assert entered.is_set(), "the journal shows it while it works"
    assert window.target.value(told) is None
    last = progress.read(path)
    assert last is not None
    assert (last.ended, last.phase, last.database, last.run_id) == (True, "verify", "campaign_db", result["run_id"])
    assert [(pace.rows, pace.share, pace.state) for pace in last.tables] == [(ROWS, 1.0, "done")] * 4
    assert "row data" not in path.read_text()


def test_progress_of_an_attempt_that_was_killed_is_forgotten(window: Window) -> None:
    with recorded(window.database, "copy") as work:
        work.result.update(progress={"at": 1}, run_id="kept")
    with recorded(window.database, "copy") as work:
        assert work.result == {"run_id": "kept"}


def test_a_file_that_cannot_be_written_is_said_before_anything_is_copied(
    window: Window, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"database": window.options, "run_id": window.state().run.id, "progress_file": "/proc/progress.json"}
    result = run_module(capsys, "pg_copy", False, given)
    assert "cannot write the progress file /proc/progress.json" in result["msg"]
    assert window.target.value("SELECT count(*) FROM consolidation.chunk") == 0


def test_a_table_on_a_terminal_and_the_cursor_afterwards(playbook: Playbook) -> None:
    terminal = playbook.on_a_terminal()
    terminal.read_until("copying", 60)
    follower = Terminal([BIN / "python", "-m", "consolidation.progress.view", playbook.file], os.environ, ROOT)
    follower.read_until("copying", 30)
    follower.press(CTRL_C)
    assert follower.wait(10) == 0
    assert terminal.wait(120) == 0, terminal.output
    for output in (terminal.output, follower.output):
        assert "per second" in output
        assert "[red]Two\\nLines" in output, "names are shown as they are, on one line"
        assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l"), "the cursor is back"
        assert "row data" not in output
    assert re.search(r"verify\s+campaign_db\s+4 tables\s+100%", terminal.output)


def test_lines_without_a_terminal_and_nothing_when_switched_off(playbook: Playbook, slow: Window) -> None:
    output = playbook.without(CONSOLIDATION_PROGRESS_SECONDS="1")
    assert "\x1b[?25" not in output
    assert re.search(r"^copy campaign_db\.(one|three|four): \d+%, [\d,]+ rows, .* kB.*, copying$", output, re.M), output
    assert re.search(r"^copy campaign_db: \d+%, [\d,]+ rows, .* kB, .*/s, .* left$", output, re.M), output
    assert f"copy campaign_db: 100%, {4 * ROWS:,} rows" in output
    assert f"verify campaign_db: 100%, {4 * ROWS:,} rows" in output
    assert "% " not in playbook.without(CONSOLIDATION_PROGRESS="off")


@pytest.fixture
def elsewhere(slow: Window, tmp_path: Path) -> Playbook:
    """The modules run where signals of this terminal do not reach; Ansible's own ssh connection leads there."""
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nfor last; do :; done\nsetsid --wait sh -c "$last"\n')
    program.chmod(0o700)
    return Playbook(slow, tmp_path, ansible_connection="ssh", ansible_ssh_executable=str(program))


def interrupt(playbook: Playbook, terminal: Terminal, window: Window, module: str) -> None:
    """Ctrl-C while a module works: the operator is told, and nothing of it is left."""
    assert len(playbook.processes()) >= 3, "Ansible's, the module's and one that helps it"
    terminal.press(CTRL_C)
    assert terminal.wait(30) != 0, terminal.output
    assert terminal.output.rindex("\x1b[?25h") > terminal.output.rindex("\x1b[?25l"), "the cursor is back"
    last = terminal.output[terminal.output.rindex("\x1b[?25h") :]
    assert f"while these worked: {module} of campaign_db" in last
    assert re.search(r"Writes +\S", last)
    assert re.search(r"Resume +.*ansible-playbook ", last)
    assert "Traceback" not in terminal.output
    wait_until_alone(window)
    assert not playbook.processes()


@pytest.mark.parametrize("where", ["playbook", "elsewhere"])
def test_ctrl_c_leaves_nothing_and_says_how_to_go_on(where: str, slow: Window, request: pytest.FixtureRequest) -> None:
    playbook: Playbook = request.getfixturevalue(where)
    terminal = playbook.on_a_terminal()
    # The first two tables are loaded, the next one is under way.
    done = "SELECT count(*) FROM consolidation.chunk WHERE state = 'done'"
    terminal.read_until("copying", 60)
    terminal.read_while(lambda: slow.target.value(done) < 2, "two tables that are loaded", 60)
    interrupt(playbook, terminal, slow, "pg_copy")
    for name in TABLES:
        loaded = slow.target.value(f"SELECT count(*) FROM campaign_db.{name}")
        assert loaded in (0, ROWS), f"{name}: half a chunk is loaded"
    playbook.without()
    for name in TABLES:
        assert slow.target.value(f"SELECT count(*) FROM campaign_db.{name}") == ROWS


def test_ctrl_c_in_the_verification(window: Window, tmp_path: Path) -> None:
    window.source.execute("CREATE SEQUENCE own", role="campaign_owner")
    window.target.execute("CREATE SEQUENCE campaign_db.own", user="consolidation")
    window.copy()
    playbook = Playbook(window, tmp_path, ["verify"])
    with window.target.connection() as holder:
        # The tables are read by then: sequences come after them.
        holder.cursor().execute("ALTER SEQUENCE campaign_db.own RENAME TO held")
        terminal = playbook.on_a_terminal()
        held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        terminal.read_while(lambda: window.target.value(held) == 0, "verification that waits", 60)
        terminal.read_until("\x1b[?25l", 10)  # the table of its progress
        interrupt(playbook, terminal, window, "pg_verify_info")
        state = "SELECT state FROM consolidation.phase WHERE name = 'verify'"
        assert window.target.value(state) != "done"
        holder.rollback()
    playbook.without()
    assert window.target.value(state) == "done"
