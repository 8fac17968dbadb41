"""Sockets that outlive the process: a restart refuses no connection and cuts none off.

By systemd's conventions, which the demo's supervisor follows too. The listening socket is passed in (LISTEN_FDS, a
`.socket` unit): while no process is there, connections wait in its backlog. Connections that are open when the process
ends, and requests that wait for a fence, go to the next process through the file descriptor store
(FileDescriptorStoreMax=). Where there is none, idle connections are closed and such requests answered 503.
"""

import asyncio
import os
import select
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

FIRST = 3
NAME = "connection"
SEND_SECONDS = 5

ending = asyncio.Event()
"""Set when the process was asked to end: who waits is to wait no longer."""


class Ending(Exception):
    """The process ends; the request has changed nothing and may be sent again."""


@dataclass(frozen=True)
class Inherited:
    """What the process was started with."""

    listening: socket.socket | None = None
    connections: list[tuple[socket.socket, bytes]] = field(default_factory=list)
    """Each with what was read from it and not answered yet."""


def inherited(environment: Mapping[str, str] = os.environ) -> Inherited:
    """Take what was passed to this process, if anything was."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return Inherited()
    listening, connections, requests = None, [], {}
    for fd in range(FIRST, FIRST + int(environment.get("LISTEN_FDS", "0"))):
        os.set_inheritable(fd, False)
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            with os.fdopen(fd, "rb") as file:
                file.seek(0)
                inode, _, content = file.read().partition(b"\n")
                requests[int(inode)] = content
            continue
        passed = socket.socket(fileno=fd)
        passed.setblocking(False)
        if passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listening = passed
        else:
            connections.append(passed)
    return Inherited(listening, [(each, requests.get(os.fstat(each.fileno()).st_ino, b"")) for each in connections])


@dataclass(frozen=True)
class Store:
    """What keeps descriptors for the next process; `address`: NOTIFY_SOCKET."""

    address: str

    @classmethod
    def of_this_process(cls, environment: Mapping[str, str] = os.environ) -> "Store | None":
        """None: there is none. (systemd sets FDSTORE from 254 on; before, the unit's Environment= does.)"""
        address = environment.get("NOTIFY_SOCKET")
        return cls(address) if address and environment.get("FDSTORE", "0") != "0" else None

    def keep(self, connection: int, unanswered: bytes) -> bool:
        """Keep a connection, and what was read from it; whether that was possible."""
        content = f"{os.fstat(connection).st_ino}\n".encode() + unanswered
        with os.fdopen(os.memfd_create("request"), "wb") as file:
            file.write(content)
            file.flush()
            return self._send(f"FDSTORE=1\nFDNAME={NAME}", [connection, file.fileno()] if unanswered else [connection])

    def forget(self) -> None:
        """The connections belong to this process now: no other one may do their requests once more."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={NAME}", [])
        self.settle()

    def settle(self) -> None:
        """Wait until all was received: what a process sends as it ends may be lost."""
        here, there = os.pipe()
        with os.fdopen(here, "rb") as end:
            sent = self._send("BARRIER=1", [there])
            os.close(there)
            if sent:
                received = select.poll()  # select() knows no descriptors above 1,023
                received.register(end, select.POLLIN)
                received.poll(SEND_SECONDS * 1000)

    def _send(self, message: str, descriptors: list[int]) -> bool:
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.settimeout(SEND_SECONDS)
            try:
                notify.connect(address)
                socket.send_fds(notify, [message.encode()], descriptors)
            except OSError:
                return False
        return True
