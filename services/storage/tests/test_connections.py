"""Attacks on connections: what is open, half open, unread or unanswered costs little and ends."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]  # it brings no types
import pytest
from cryptography import x509

from services.tests.certificates import certificate
from services.tests.harness import TOKENS, Caller, Running, running, storage_configuration
from tests.cluster import Database

MEGABYTE = 1_000_000
SERVER = {
    "max_connections": 60,
    "head_timeout_seconds": 5,
    "request_timeout_seconds": 2,
    "keep_alive_seconds": 20,
}


@pytest.fixture(scope="module")
def strict(storage: Database, directory: Path) -> Iterator[Running]:
    """A service with small limits."""
    with running("storage_service", storage_configuration(storage) | {"server": SERVER}, directory) as service:
        yield service


@pytest.fixture(scope="module")
def encrypted(storage: Database, directory: Path) -> Iterator[tuple[Running, Path]]:
    """The same over TLS, and the CA of its certificate."""
    ca = certificate(directory, "connections", x509.IPAddress(IPv4Address("127.0.0.1")))
    tls = {"certificate": str(ca), "key": str(directory / "connections.key")}
    content = storage_configuration(storage) | {"server": SERVER | {"tls": tls}}
    with running("storage_service", content, directory, ca=ca) as service:
        yield service, ca


@contextmanager
def connected(service: Running, receive_bytes: int = 0) -> Iterator[socket.socket]:
    """A connection to the service, without HTTP. receive_bytes: how much it takes in without being read."""
    host, port = service.url.partition("://")[2].split(":")
    with socket.socket() as connection:
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(20)
        connection.connect((host, int(port)))
        yield connection


@contextmanager
def standing_still(service: Running) -> Iterator[None]:
    """The process gets no processor: what comes meanwhile comes at once."""
    os.kill(service.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.process.pid, signal.SIGCONT)


def ports_at(service: Running) -> set[int]:
    """Of the clients whose connections the process has open."""
    port = int(service.url.rpartition(":")[2])
    found = psutil.Process(service.process.pid).net_connections("tcp")
    return {each.raddr.port for each in found if each.laddr.port == port and each.raddr}


def memory_of(service: Running) -> int:
    """Bytes."""
    return int(psutil.Process(service.process.pid).memory_info().rss)


def newcomer_is_served(service: Running, storage: Database, ca: Path | None = None) -> None:
    verify = ssl.create_default_context(cafile=ca) if ca else False
    with httpx.Client(base_url=service.url, trust_env=False, verify=verify, timeout=5) as http:
        assert Caller(http, "campaign_db", storage).send("POST", "campaigns/query", {}).status_code == 200


def test_connections_that_come_at_once_stay_within_the_limit(strict: Running, storage: Database) -> None:
    with ExitStack() as stack:
        with standing_still(strict):
            for _ in range(300):
                stack.enter_context(connected(strict))
        newcomer_is_served(strict, storage)
        assert len(ports_at(strict)) <= SERVER["max_connections"]


def test_handshakes_that_do_not_come_are_counted_like_any_connection(
    encrypted: tuple[Running, Path], storage: Database
) -> None:
    service, ca = encrypted
    newcomer_is_served(service, storage, ca)
    before = service.log.stat().st_size
    # As little room as a process has by default, for its connections.
    files = psutil.Process(service.process.pid).num_fds() + 100
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (files, files))
    with ExitStack() as stack:
        for number in range(300):
            connection = stack.enter_context(connected(service))
            connection.sendall(b"\x16\x03\x01\x02\x00" if number % 2 else b"\x16")
        newcomer_is_served(service, storage, ca)
        assert len(ports_at(service)) <= SERVER["max_connections"]
    assert service.log.stat().st_size - before < 20_000


def test_what_comes_behind_the_handshake_at_once_is_taken(encrypted: tuple[Running, Path]) -> None:
    service, ca = encrypted
    context = ssl.create_default_context(cafile=ca)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with connected(service) as connection:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        # The end of the handshake and the first request in one piece.
        tls.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        connection.sendall(outgoing.read())
        received = b""
        while b"alive" not in received:
            incoming.write(connection.recv(65536))
            try:
                received += tls.read(65536)
            except ssl.SSLWantReadError:
                continue


def test_fields_behind_a_body_do_not_pile_up(strict: Running) -> None:
    before = memory_of(strict)
    with connected(strict) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        assert b"alive" in connection.recv(65536)
        try:
            for _ in range(300):
                connection.sendall(b"x: y\r\n" * 20_000)
        except OSError:
            pass
        assert memory_of(strict) - before < 20 * MEGABYTE


@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_connection_whose_body_does_not_end_is_closed_with_its_answer(strict: Running, length: str) -> None:
    with connected(strict) as connection:
        connection.sendall(f"GET /health/live HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
        begun, received = time.monotonic(), b""
        while part := connection.recv(65536):
            received += part
        assert b"\r\nconnection: close\r\n" in received
        assert time.monotonic() - begun < 4


def test_requests_ahead_of_their_answers_are_few_and_answers_are_read_or_cut_off(strict: Running) -> None:
    assert len(strict.http.get("/openapi.json").content) > 100_000
    for number, kept in ((6000, 0), (20, 5)):  # more than may be, and as many as may
        before = memory_of(strict)
        with ExitStack() as stack:
            greedy = [stack.enter_context(connected(strict, receive_bytes=4096)) for _ in range(5)]
            ports = {each.getsockname()[1] for each in greedy}
            for each in greedy:
                each.setblocking(False)
                each.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * number)
            time.sleep(1)
            assert memory_of(strict) - before < 20 * MEGABYTE
            assert len(ports & ports_at(strict)) == kept
            deadline = time.monotonic() + 8
            while ports & ports_at(strict):
                assert time.monotonic() < deadline, "still open"
                time.sleep(0.2)


def test_strangers_do_not_fill_the_disk_with_what_is_public(strict: Running) -> None:
    before = strict.log.stat().st_size
    for _ in range(1000):
        assert strict.http.get("/health/live").status_code == 200
        strict.http.post("/health/live")
    time.sleep(0.3)
    assert strict.log.stat().st_size - before < 60_000


def test_refusal_of_a_large_body_arrives_over_tls_too(encrypted: tuple[Running, Path]) -> None:
    service, _ = encrypted
    headers = {"Authorization": f"Bearer {TOKENS['campaign_db']}"}
    for _ in range(3):
        refused = service.http.post(
            "/v1/databases/campaign_db/campaigns", content=b" " * 30 * MEGABYTE, headers=headers
        )
        assert refused.status_code == 413


@pytest.mark.parametrize(
    "head", [b"\x00\x01\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 40_000]
)
def test_what_is_no_http_is_told_so_in_a_problem_document(strict: Running, head: bytes) -> None:
    with connected(strict) as connection:
        connection.sendall(head)
        received = b""
        while select.select([connection], [], [], 5)[0] and (part := connection.recv(65536)):
            received += part
    fields, _, body = received.partition(b"\r\n\r\n")
    assert fields.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in fields
    assert json.loads(body)["type"] == "urn:problem:bad-request"
