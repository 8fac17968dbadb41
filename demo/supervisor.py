#!/usr/bin/env python3
"""Starts and stops one service of the demo, where production has systemd.

    supervisor.py DIRECTORY start|stop|restart|status

DIRECTORY holds what belongs to the service: `config.yml`, `releases/`, the link `current` to one of them,
`service.log`, and `socket` with the address HOST:PORT. As with a systemd .socket unit, a process of its own listens
there until the service is stopped, and hands the socket to every process of the service, with the connections that the
one before has left: a restart refuses no connection.
Nothing but Python's own library is needed, and no working directory, so an inventory can name this file.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

PID_FILE = "service.pid"
SOCKET_FILE = "socket"
KEEPER_SECONDS = 10
STOP_SECONDS = 20
"""How long requests under way may take; the services themselves allow 10 seconds."""


def main() -> int:
    """Exit code: 0 done (or: it runs), 1 not done, 3 it does not run (status)."""
    parser = argparse.ArgumentParser(description="Starts and stops one service of the demo.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("action", choices=["start", "stop", "restart", "status", "keep"])
    arguments = parser.parse_args()
    if arguments.action == "keep":  # not for people: the process that listens
        return keep(arguments.directory)
    return act(arguments.directory, arguments.action)


def act(directory: Path, action: str) -> int:
    """Do it and say so; returns the exit code."""
    try:
        if action == "stop":
            stop(directory)
        if action == "restart":
            end(directory)
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
        command = [python, "-m", f"{directory.name}_service", "--config", config]
        passed = _sockets(directory, log.fileno())
        lock.write(str(_run(command, directory, log.fileno(), lock.fd, passed)))
        for fd in passed:
            os.close(fd)


def _run(command: list[str], directory: Path, log: int, lock: int, passed: Sequence[int]) -> int:
    """The id of a new process that has `passed` from descriptor 3 on, as systemd passes sockets, and keeps the lock."""
    if pid := os.fork():
        return pid
    try:
        os.setsid()
        os.chdir(directory)
        wanted = [os.open(os.devnull, os.O_RDONLY), log, log, *passed, lock]
        spare = [fcntl.fcntl(fd, fcntl.F_DUPFD, len(wanted)) for fd in wanted]
        for target, fd in enumerate(spare):
            os.dup2(fd, target)
        os.closerange(len(wanted), max(spare) + 1)
        environment = dict(os.environ)
        if passed:
            store = {"NOTIFY_SOCKET": _address(directory), "FDSTORE": "1000"}
            environment |= store | {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(passed))}
        os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def stop(directory: Path, seconds: float = STOP_SECONDS) -> None:
    """Stop the service and close its socket; no change when it is down."""
    end(directory, seconds)
    deadline = time.monotonic() + KEEPER_SECONDS
    while _tell(directory, b"END"):
        if time.monotonic() > deadline:
            raise TimeoutError("the process that listens for the service does not end")
        time.sleep(0.02)


def end(directory: Path, seconds: float = STOP_SECONDS) -> None:
    """Ask the service to end and wait until it has; after `seconds` it is killed. No change when it is down."""
    for request, limit in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5)):
        deadline = time.monotonic() + limit
        if (pid := running(directory)) is None:
            return
        with suppress(ProcessLookupError):  # it has ended at this moment
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


def keep(directory: Path) -> int:
    """Listen for the service until it is stopped, and keep what its processes leave to the next one.

    Understands what a service may say to systemd's NOTIFY_SOCKET about descriptors, and GIVE and END of the supervisor.
    """
    host, _, port = (directory / SOCKET_FILE).read_text().strip().rpartition(":")
    try:
        listening = socket.create_server((host, int(port)), backlog=2048)
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1
    kept: list[int] = []
    with listening, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        inbox.bind(_abstract(directory))
        while True:
            message, descriptors = _receive(inbox)
            if message == b"END":
                return 0
            if message.startswith(b"FDSTORE=1\n"):
                kept += descriptors
                continue
            if message.startswith(b"FDSTOREREMOVE=1\n"):
                descriptors, kept = [*descriptors, *kept], []
            if message == b"GIVE" and descriptors:
                _give(descriptors[0], [listening.fileno(), *kept])
            for fd in descriptors:
                os.close(fd)


def _receive(inbox: socket.socket) -> tuple[bytes, list[int]]:
    """A message of the same user's, and the descriptors with it."""
    room = socket.CMSG_SPACE(12) + socket.CMSG_SPACE(4 * 253)
    message, attached, _, _ = inbox.recvmsg(4096, room)
    data = {kind: content for _, kind, content in attached}
    rights = data.get(socket.SCM_RIGHTS, b"")
    descriptors = [int.from_bytes(rights[at : at + 4], sys.byteorder) for at in range(0, len(rights), 4)]
    sender = data[socket.SCM_CREDENTIALS]
    if int.from_bytes(sender[4:8], sys.byteorder) != os.getuid():
        return b"", descriptors
    return message, descriptors


def _give(to: int, descriptors: Sequence[int]) -> None:
    with socket.socket(fileno=os.dup(to)) as other, suppress(OSError):
        for at in range(0, len(descriptors), 100):
            socket.send_fds(other, [b"."], descriptors[at : at + 100])


def _sockets(directory: Path, log: int) -> list[int]:
    """What the next process of the service is to have: its socket, then what the one before has left.

    Raises OSError.
    """
    if not (directory / SOCKET_FILE).exists():
        return []
    if not _tell(directory, b""):
        _start_keeper(directory, log)
    mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with mine:
        mine.settimeout(KEEPER_SECONDS)
        with other:
            _tell(directory, b"GIVE", [other.fileno()])
        found: list[int] = []
        while (received := socket.recv_fds(mine, 1, 100))[0]:
            found += received[1]
    return found


def _start_keeper(directory: Path, log: int) -> None:
    command = [sys.executable, "-I", "-S", __file__, str(directory), "keep"]
    keeper = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + KEEPER_SECONDS
    while not _tell(directory, b""):
        if keeper.poll() is not None or time.monotonic() > deadline:
            address = (directory / SOCKET_FILE).read_text().strip()
            raise OSError(
                f"nothing can listen at {address}, perhaps another program does (ss -ltnp shows which);"
                f" see {directory / 'service.log'}"
            )
        time.sleep(0.01)


def _tell(directory: Path, message: bytes, descriptors: Sequence[int] = ()) -> bool:
    """Whether the process that listens is there to hear it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        try:
            notify.connect(_abstract(directory))
            socket.send_fds(notify, [message], descriptors)
        except ConnectionRefusedError:
            return False
    return True


def _address(directory: Path) -> str:
    return f"@supervisor-{hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:32]}"


def _abstract(directory: Path) -> str:
    return "\0" + _address(directory)[1:]


def _release(directory: Path) -> Path:
    return (directory / "current").resolve(strict=True)


if __name__ == "__main__":
    sys.exit(main())
