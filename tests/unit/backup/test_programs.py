"""Client programs: what they say is passed on without rows, and none outlives us. Small scripts stand for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from consolidation.backup import programs
from consolidation.errors import BackupError, ConfigurationError

Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """script(text): an executable named pg_dump."""

    def write(text: str) -> Path:
        path = tmp_path / "pg_dump"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return write


def failing(script: Script, said: str) -> Path:
    return script(f"cat >&2 <<'END'\n{said}\nEND\nexit 1")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            'pg_dump: error: connection to server at "h", port 1 failed: Connection refused',
            'pg_dump: connection to server at "h", port 1 failed: Connection refused',
        ),
        (
            'pg_dump: error: connection to server at "h", port 1 failed: FATAL:  no pg_hba.conf entry for host "h"',
            'pg_dump: connection to server at "h", port 1 failed: FATAL:  no pg_hba.conf entry for host "h"',
        ),
        (
            "pg_dump: error: query failed: ERROR:  permission denied for table t\npg_dump: detail: Query was: LOCK",
            "pg_dump: query failed: permission denied for table t",
        ),
        (
            'pg_dump: error: Dumping the contents of table "t" failed: PQgetResult() failed.\n'
            "pg_dump: detail: Error message from server: ERROR:  canceling statement due to lock timeout\n"
            "pg_dump: detail: Command was: COPY t",
            'pg_dump: Dumping the contents of table "t" failed: PQgetResult() failed.'
            " canceling statement due to lock timeout",
        ),
        ("Segmentation fault", "pg_dump: ended with 1"),
    ],
)
def test_first_error_is_passed_on(script: Script, said: str, message: str) -> None:
    with pytest.raises(BackupError) as raised:
        programs.run([failing(script, said)])
    assert raised.value.message == message


@pytest.mark.parametrize(
    "said",
    [
        'pg_dump: error: COPY failed for table "t": ERROR:  invalid input syntax for type integer: "SECRET"\n'
        'CONTEXT:  COPY t, line 1, column id: "SECRET"',
        'pg_dump: error: could not execute query: ERROR:  value "SECRET" is out of range for type integer',
        "pg_dump: error: could not execute query: ERROR:  type SECRET is odd\nDETAIL:  Key (id)=(SECRET)",
        "pg_dump: error: could not execute query: ERROR:  SECRET\nCommand was: INSERT INTO t VALUES ('SECRET')",
        'pg_dump: error: COPY failed for table "t": FEHLER:  ungültige Eingabesyntax für Typ integer: »SECRET«',
        "pg_dump: error: Dumping of table failed.\npg_dump: detail: Error message from server: 错误:  SECRET",
        "pg_dump: warning: SECRET\npg_dump: detail: SECRET\npg_dump: error: no such table",
        "SECRET",
    ],
)
def test_rows_are_not_passed_on(script: Script, said: str) -> None:
    with pytest.raises(BackupError) as raised:
        programs.run([failing(script, said)])
    assert "SECRET" not in str(raised.value)


def test_error_with_exit_code_0_is_an_error(script: Script) -> None:
    with pytest.raises(BackupError, match="pg_dump: query failed"):
        programs.run([script("echo 'pg_dump: error: query failed' >&2")])


def test_errors_may_be_the_callers_but_not_a_death(script: Script) -> None:
    known = 'pg_dump: error: could not execute query: ERROR:  relation "x" does not exist'
    assert known in programs.run([failing(script, known)], may_fail=True)
    with pytest.raises(BackupError, match="ended with 1"):
        programs.run([failing(script, "pg_dump: warning: errors ignored")], may_fail=True)


def test_disk_full_says_where_to_make_room(script: Script) -> None:
    with pytest.raises(BackupError) as raised:
        programs.run([failing(script, "pg_dump: error: could not write to file: No space left on device")])
    assert "consolidation_backup_directory" in raised.value.hint


def test_a_full_disk_of_the_server_is_not_the_runners(script: Script) -> None:
    said = (
        'pg_dump: error: could not execute query: ERROR:  could not extend file "base/5/16384": No space left on device'
    )
    with pytest.raises(BackupError) as caught:
        programs.run([failing(script, said)], server="scratch on storage.example:5432")
    assert str(caught.value).startswith("pg_dump on scratch on storage.example:5432: could not execute query")
    assert "disk of the server scratch on storage.example:5432" in caught.value.hint
    assert "consolidation_backup_directory" not in caught.value.hint


def test_variables_of_libpq_and_language_are_kept_from_it(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    programs.run([script("env")], output=tmp_path / "out")
    environment = (tmp_path / "out").read_text()
    assert "secret" not in environment
    assert "LANG=" not in environment
    assert "LC_ALL=C\n" in environment
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_what_watch_raises_ends_the_program(script: Script, tmp_path: Path) -> None:
    path = script(f"echo $$ > {tmp_path}/pid; exec sleep 60")

    def watch() -> None:
        if (tmp_path / "pid").exists():
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - any will do
        programs.run([path], watch=watch)
    assert not lives(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_program_ends_when_we_are_killed(script: Script, tmp_path: Path) -> None:
    path = script(f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 60")
    code = "import sys; from consolidation.backup import programs; programs.run([sys.argv[1]])"
    with subprocess.Popen([sys.executable, "-c", code, path]) as ours:
        wait_until((tmp_path / "pid").exists)
        ours.send_signal(signal.SIGKILL)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not lives(pid))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_block_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned = []

    def interrupted() -> None:
        with programs.stoppable():
            try:
                os.kill(os.getpid(), number)
                time.sleep(5)
            finally:
                os.kill(os.getpid(), number)
                cleaned.append(True)

    with pytest.raises(BackupError, match=f"stopped by {number.name}"):
        interrupted()
    assert cleaned
    assert signal.getsignal(number) is before


def test_version(script: Script, tmp_path: Path) -> None:
    assert programs.version(script("echo 'pg_dump (PostgreSQL) 18.4 (Debian 18.4-1)'")) == 18
    with pytest.raises(ConfigurationError, match="does not name a version"):
        programs.version(script("echo hello"))
    with pytest.raises(ConfigurationError, match=r"cannot run .*No such file"):
        programs.version(tmp_path / "none")


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)
