"""PostgreSQL's client programs as child processes: never a password, never an orphan, never a row in a message."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from consolidation import processes
from consolidation.errors import BackupError, ConfigurationError

POLL_SECONDS = 0.2
GRACE_SECONDS = 10.0

# libpq writes a server's severity, in the server's language, with two spaces behind its colon.
SEVERITY = re.compile(r"(?:^|(?<=\s))[^\s:]+:  ")
# What the server says after it may quote a value ("invalid input syntax for type integer: …"), so only what
# begins like this is passed on: these name objects and states.
WITHOUT_ROWS = re.compile(
    r"(permission denied|must (be|have)|canceling|terminating|no space"
    r"|could not (open|create|extend|write|read|access|connect)"
    r"|(database|schema|relation|role|type|function|extension|tablespace|collation|language|server|column|operator"
    r"|access method|index|constraint|sequence|large object|event trigger) .*(exist|available|permi)"
    r"|lock|out of memory|out of shared memory|query would be affected by row-level security"
    r"|invalid memory alloc|unrecognized configuration parameter|unsupported frontend protocol"
    r"|null value in column|new row for relation|duplicate key value violates|could not create unique index"
    r"|insert or update on table|check constraint .* is violated by some row|syntax error at end of input"
    r"|cannot (drop|alter|create|execute|insert into|be|use))"
)


def version(program: Path) -> int:
    """Major version of one of PostgreSQL's programs. Raises ConfigurationError where there is none to run."""
    hint = "set consolidation_postgresql_bin to the directory of pg_dump, pg_restore and pg_dumpall on the runner"
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, env=_environment())
    except OSError as error:
        raise ConfigurationError(f"cannot run {program}: {error.strerror}", hint=hint) from error
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise ConfigurationError(f"{program} --version does not name a version of PostgreSQL", hint=hint)
    return int(found[1])


def run(
    command: Sequence[str | Path],
    *,
    output: Path | None = None,
    watch: Callable[[], object] = lambda: None,
    may_fail: bool = False,
    server: str = "",
) -> str:
    """Run a program to its end; what it wrote to its standard error. It and its workers end with us, however we end.

    output: file for its standard output. watch: called while it runs; what it raises ends the program.
    server: which one it works on, for messages.
    may_fail: errors are the caller's.
    Raises BackupError with the first error that the program wrote, without what could quote a row.
    """
    name = Path(command[0]).name
    process = _start(command, output)
    try:
        while True:
            try:
                _, said = process.communicate(timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                watch()
    except BaseException:
        _stop(process)
        raise
    errors = [line for line in said.splitlines() if line.startswith(f"{name}: error: ")]
    failed = process.returncode < 0 or (process.returncode > 0 and not errors)
    # pg_dumpall of some versions ends with 0 after an error.
    if failed or ((process.returncode > 0 or errors) and not may_fail):
        ours, theirs = _reason(name, said)
        reason = f"{ours} {theirs}".strip() or f"ended with {process.returncode}"
        where = f"{name} on {server}" if server else name
        raise BackupError(f"{where}: {reason}", hint=advice(ours, theirs, server))
    return said


def read(command: Sequence[str | Path]) -> str:
    """Standard output of a program that is soon done, or ends with us. Raises BackupError."""
    done = subprocess.run([*_bound_to_us(), *command], capture_output=True, text=True, check=False, env=_environment())
    if done.returncode != 0:
        name = Path(command[0]).name
        ours, theirs = _reason(name, done.stderr)
        raise BackupError(f"{name}: {ours} {theirs}".strip(), hint=advice(ours, theirs, ""))
    return done.stdout


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block with a BackupError, once: what cleans up is not interrupted again."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise BackupError(
            f"stopped by {signal.Signals(number).name}", hint="run the same command again; it starts over"
        )

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(command: Sequence[str | Path], output: Path | None) -> subprocess.Popen[str]:
    with _opened(output) as target:
        return subprocess.Popen(
            [*_bound_to_us(), *command],
            stdin=subprocess.DEVNULL,
            stdout=target,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=_environment(),
            umask=0o077,
        )


@contextmanager
def _opened(output: Path | None) -> Iterator[int]:
    if output is None:
        yield subprocess.DEVNULL
        return
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _bound_to_us() -> list[str]:
    """A wrapper that has the kernel send SIGTERM to the program when we die (Linux): pg_dump then ends its workers.

    Not a preexec_fn: that is unsafe beside threads.
    """
    return [sys.executable, "-IS", processes.__file__, str(os.getpid())] if sys.platform.startswith("linux") else []


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _environment() -> dict[str, str]:
    """Ours without libpq's variables, and with messages in English."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def _reason(name: str, said: str) -> tuple[str, str]:
    """The first error that a program names, and the server's words about it; nothing that could quote a row."""
    lines = said.splitlines()
    first = next((line for line in lines if line.startswith(f"{name}: error: ")), "")
    ours, theirs = split(first.removeprefix(f"{name}: error: "))
    if not theirs:
        details = (
            split(line.removeprefix(f"{name}: detail: ")) for line in lines if line.startswith(f"{name}: detail: ")
        )
        theirs = next((said for _, said in details if said), "")
    return ours, without_rows(theirs)


def split(line: str) -> tuple[str, str]:
    """A program's own words and what it quotes of a server. A refused login quotes no row: it stays whole."""
    found = SEVERITY.search(line)
    if found is None or line.startswith("connection to server"):
        return line.strip(), ""
    return line[: found.start()].strip(), line[found.end() :].strip()


def without_rows(theirs: str) -> str:
    """The server's words only where they cannot quote a row."""
    theirs = theirs.strip()
    if theirs and not WITHOUT_ROWS.match(theirs):
        return "the server refused (its log has the text, which may quote a row)"
    return theirs


def advice(ours: str, theirs: str, server: str) -> str:
    reason = f"{ours} {theirs}"
    if "No space left" in theirs:
        return f"free space on the disk of the server {server or 'that it names'} itself, then run again"
    if "No space left" in reason or "File too large" in reason:
        return "free space there, or set consolidation_backup_directory to a larger file system; then run again"
    if "permission denied" in reason or "row-level security" in reason:
        return "grant the runbook's role what the message names (the README lists the grants), then run again"
    return "correct what the message names (the server's log has its own side of it), then run the same command again"
