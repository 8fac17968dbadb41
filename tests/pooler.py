"""A pooler as small as can be: it drops startup options, or hands server processes from transaction to transaction.

Clients authenticate with the server itself, through us; what a pooler changes comes after that.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from consolidation.postgres.connection import Settings

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


class Pooler:
    """Listens on a port of its own. ``transactions``: a server process serves a client for one transaction only."""

    def __init__(self, settings: Settings, *, transactions: bool) -> None:
        self._server, self._transactions = (settings.host, settings.port), transactions
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._free: list[socket.socket] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def close(self) -> None:
        self._listening.close()
        with self._changed:
            for server in self._free:
                server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        opened: list[socket.socket] = []
        with suppress(OSError, ConnectionError, struct.error):
            while True:
                (length, code) = struct.unpack("!ii", _exactly(client, 8))
                rest = _exactly(client, length - 8)
                if code not in {SSL_REQUEST, GSS_REQUEST}:
                    break
                client.sendall(b"N")
            server = socket.create_connection(self._server)
            pairs = rest.split(b"\0")[:-2]
            kept = [(k, v) for k, v in zip(pairs[::2], pairs[1::2], strict=True) if k != b"options"]
            body = b"".join(k + b"\0" + v + b"\0" for k, v in kept) + b"\0"
            server.sendall(struct.pack("!ii", len(body) + 8, code) + body)
            self._relay_login(client, server)
            if self._transactions:
                self._give_back(server)
            opened.append(server)
            while True:
                kind, message = _message(client)
                if kind == b"X":
                    break
                if self._transactions:
                    server = self._take()
                server.sendall(kind + message)
                while self._relay_answer(client, server):  # in a transaction: the client keeps it
                    server.sendall(b"".join(_message(client)))
                if self._transactions:
                    self._give_back(server)
        client.close()
        for server in opened if not self._transactions else ():
            server.close()

    def _relay_login(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            kind, message = _message(server)
            if kind == b"K":  # the pooler's own key for cancelling, as poolers do
                message = message[:4] + os.urandom(len(message) - 4)
            client.sendall(kind + message)
            if kind == b"Z":
                return
            if kind == b"E":
                raise ConnectionError
            if kind == b"R" and struct.unpack("!i", message[4:8])[0] in {3, 5, 10, 11}:
                server.sendall(b"".join(_message(client)))

    def _relay_answer(self, client: socket.socket, server: socket.socket) -> bool:
        """Whether a transaction is open after it."""
        while True:
            kind, message = _message(server)
            client.sendall(kind + message)
            if kind == b"Z":
                return message[4:] != b"I"

    def _give_back(self, server: socket.socket) -> None:
        with self._changed:
            self._free.append(server)
            self._changed.notify()

    def _take(self) -> socket.socket:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._free))
            return self._free.pop()


@contextmanager
def pooled(settings: Settings, passfile: str, *, transactions: bool) -> Iterator[Settings]:
    """The connection that leads through a pooler; ``passfile`` gets a copy of the password for its port."""
    pooler = Pooler(settings, transactions=transactions)
    with open(str(settings.passfile), encoding="utf-8") as known, open(passfile, "w", encoding="utf-8") as file:  # noqa: PTH123
        os.fchmod(file.fileno(), 0o600)
        file.write(known.read().replace(f":{settings.port}:", f":{pooler.port}:"))
    try:
        yield replace(settings, host="127.0.0.1", port=pooler.port, passfile=passfile)
    finally:
        pooler.close()


def _message(peer: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(peer, 1)
    length = _exactly(peer, 4)
    return kind, length + _exactly(peer, struct.unpack("!i", length)[0] - 4)


def _exactly(peer: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = peer.recv(count - len(parts))
        if not part:
            raise ConnectionError
        parts += part
    return parts
