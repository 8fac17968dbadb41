"""Whether a server that gives us no session is there all the same. No word of its messages is read: it speaks any
language."""

from __future__ import annotations

import socket
import struct
from contextlib import closing
from dataclasses import replace

from consolidation.errors import ConnectionFailed
from consolidation.postgres.connection import Settings, connect
from consolidation.postgres.queries import value

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
SECONDS = 5.0
MAINTENANCE = ("postgres", "template1")
"""Databases to ask for another one."""


def answers(settings: Settings) -> bool:
    """Whether anything accepts connections there. One that is silent (stopped, frozen) counts: it may go on.

    PostgreSQL answers this request before anything else: starting up, shutting down, with all connections taken.
    """
    return any(_answers(host.strip(), settings.port) for host in settings.host.split(","))


def _answers(host: str, port: int) -> bool:
    try:
        if host.startswith("/"):
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(SECONDS)
            peer.connect(f"{host}/.s.PGSQL.{port}")
        else:
            peer = socket.create_connection((host, port), SECONDS)
    except OSError:
        return False
    with closing(peer):
        try:
            peer.sendall(SSL_REQUEST)
            return peer.recv(1) != b""
        except TimeoutError:
            return True
        except OSError:
            return False


def is_missing(settings: Settings) -> bool:
    """Whether the server says that it has no such database; False where it could not be asked."""
    for name in MAINTENANCE:
        try:
            conn = connect(replace(settings, dbname=name), "reach", autocommit=True)
        except ConnectionFailed:
            continue
        with closing(conn):
            found = value(conn, "SELECT count(*) FROM pg_database WHERE datname = %s", [settings.dbname])
            return bool(found == 0)
    return False
