#!/usr/bin/env python3
"""Starts and stops one service of the demo, where production has systemd.

    supervisor.py DIRECTORY start|stop|restart|status

DIRECTORY holds what belongs to the service: `config.yml`, `releases/`, the link `current` to one of them, and
`service.log`. Nothing but Python's own library is needed, and no working directory, so an inventory can name this file.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

PID_FILE = "service.pid"
STOP_SECONDS = 20
"""How long requests under way may take; the services themselves allow 10 seconds."""


def main() -> int:
    """Exit code: 0 done (or: it runs), 1 not done, 3 it does not run (status)."""
    parser = argparse.ArgumentParser(description="Starts and stops one service of the demo.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("action", choices=["start", "stop", "restart", "status"])
    arguments = parser.parse_args()
    return act(arguments.directory, arguments.action)


def act(directory: Path, action: str) -> int:
    """Do it and say so; returns the exit code."""
    try:
        if action in ("stop", "restart"):
            stop(directory)
        if action in ("start", "restart"):
            start(directory)
    except (OSError, TimeoutError) as error:
        print(f"{directory.name}: {error}", file=sys.stderr)
        return 1
    pid = running(directory)
    print(f"{directory.name} runs as process {pid}" if pid else f"{directory.name} is down")
    return 3 if action == "status" and pid is None else 0


def start(directory: Path) -> None:
    """Start the service of the current release; no change when it runs. Does not wait until it answers."""
    release = _release(directory)
    with closing(_Lock(directory / PID_FILE)) as lock, (directory / "service.log").open("ab") as log:
        if not lock.take(patiently=True):
            return
        lock.write("")
        # Of the release itself, not of the link: what the process imports later must not come from the next release.
        python, config = str(release / "venv" / "bin" / "python"), str(directory / "config.yml")
        process = subprocess.Popen(
            [python, "-m", f"{directory.name}_service", "--config", config],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock.fd],
        )
        lock.write(str(process.pid))


def stop(directory: Path, seconds: float = STOP_SECONDS) -> None:
    """Ask the service to end and wait until it has; after `seconds` it is killed. No change when it is down."""
    for request, limit in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5)):
        deadline = time.monotonic() + limit
        if (pid := running(directory)) is None:
            return
        os.kill(pid, request)
        while time.monotonic() < deadline:
            if running(directory) is None:
                return
            time.sleep(0.02)
    raise TimeoutError("the service does not end, not even when it is killed")


def running(directory: Path) -> int | None:
    """The service's process id; None when it is down, however it ended."""
    path = directory / PID_FILE
    if not path.exists():
        return None
    with closing(_Lock(path)) as lock:
        return None if lock.take() else lock.read()


class _Lock:
    """A file that is locked for as long as the service lives: the process inherits the lock with the descriptor.

    A process id alone may belong to another process by now.
    """

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, *, patiently: bool = False) -> bool:
        """patiently: not misled by another process that takes the lock for the blink of running()."""
        for _ in range(10 if patiently else 1):
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.01)
            else:
                return True
        return False

    def write(self, text: str) -> None:
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text.encode(), 0)

    def read(self) -> int | None:
        text = os.pread(self.fd, 20, 0)
        return int(text) if text else None

    def close(self) -> None:
        os.close(self.fd)


def _release(directory: Path) -> Path:
    return (directory / "current").resolve(strict=True)


if __name__ == "__main__":
    sys.exit(main())
