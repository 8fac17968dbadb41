"""Attacks: strangers and mistaken callers cost little, shut nobody out, and learn nothing."""

from __future__ import annotations

import base64
import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from storage_service.auth import token_sha256

from services.tests.harness import TOKENS, Caller, Running, campaign, image, running, storage_configuration
from tests.cluster import Database

AUTHORIZED = f"Authorization: Bearer {TOKENS['campaign_db']}\r\n"
QUERY = "POST /v1/databases/campaign_db/campaigns/query HTTP/1.1\r\nHost: x\r\n"


@contextmanager
def connected(service: Running) -> Iterator[socket.socket]:
    """A connection to the service, without HTTP."""
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def answer_to(service: Running, request: str) -> bytes:
    """All that comes back until the service closes the connection."""
    with connected(service) as connection:
        connection.sendall(request.encode())
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def seconds_until_closed(connection: socket.socket) -> float:
    begun = time.monotonic()
    while connection.recv(65536):
        pass
    return time.monotonic() - begun


@pytest.fixture(scope="module")
def strict(storage: Database, directory: Path) -> Iterator[Running]:
    """A service with small limits."""
    server = {
        "max_connections": 60,
        "head_timeout_seconds": 1,
        "request_timeout_seconds": 2,
        "header_limit_bytes": 8192,
        "body_limit_bytes": 100_000,
    }
    with running("storage_service", storage_configuration(storage) | {"server": server}, directory) as service:
        yield service


def test_connections_that_send_nothing_shut_nobody_out(strict: Running, storage: Database) -> None:
    caller = Caller(strict.http, "campaign_db", storage)
    assert caller.send("POST", "campaigns/query", {}).status_code == 200
    before = strict.log.stat().st_size
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(connected(strict)).sendall(b"POST /v1/")
        # One that is there already, and one that comes new.
        assert caller.send("POST", "campaigns/query", {}).status_code == 200
        with httpx.Client(base_url=strict.url, trust_env=False) as newcomer:
            assert Caller(newcomer, "campaign_db", storage).send("POST", "campaigns/query", {}).status_code == 200
            assert newcomer.get("/health/ready").status_code == 200
    assert strict.log.stat().st_size - before < 20_000


def test_head_must_come_in_time_and_be_small(strict: Running) -> None:
    with connected(strict) as connection:
        assert 0.5 < seconds_until_closed(connection) < 5
    with connected(strict) as connection:
        connection.sendall(QUERY.encode())
        assert 0.5 < seconds_until_closed(connection) < 5
    assert answer_to(strict, f"{QUERY}X: {'x' * 20_000}").startswith(b"HTTP/1.1 400")
    # The second request of a connection as well.
    with connected(strict) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(QUERY.encode())
        assert 0.5 < seconds_until_closed(connection) < 5


def test_body_must_come_in_time(strict: Running) -> None:
    begun = time.monotonic()
    late = answer_to(strict, f"{QUERY}{AUTHORIZED}Content-Length: 100\r\n\r\n{{")
    assert late.startswith(b"HTTP/1.1 503")
    assert time.monotonic() - begun < 6


@pytest.mark.parametrize(
    "length", ["Content-Length: 99000", "Content-Length: 10000000000", "Transfer-Encoding: chunked"]
)
def test_body_of_a_stranger_is_not_waited_for(strict: Running, length: str) -> None:
    begun = time.monotonic()
    refused = answer_to(strict, f"{QUERY}{length}\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 401")
    assert time.monotonic() - begun < 1


def test_declared_and_undeclared_bodies_are_bounded(strict: Running) -> None:
    assert answer_to(strict, f"{QUERY}{AUTHORIZED}Content-Length: 100001\r\n\r\n").startswith(b"HTTP/1.1 413")
    chunk = f"{50_000:x}\r\n{'x' * 50_000}\r\n"
    chunked = f"{QUERY}{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n{chunk * 3}"
    assert answer_to(strict, chunked).startswith(b"HTTP/1.1 413")


def test_strangers_do_not_fill_the_disk(strict: Running) -> None:
    before = strict.log.stat().st_size
    for _ in range(500):
        assert strict.http.get("/nothing", headers={"X-Request-Id": "x" * 3000}).status_code == 401
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(connected(strict)).sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        time.sleep(0.3)
    time.sleep(0.3)
    assert strict.log.stat().st_size - before < 40_000


def test_error_documents_are_bounded(campaigns: Caller) -> None:
    body = {f"column{number}{'x' * 1000}": number for number in range(5000)}
    for path, content in (("campaigns", body), ("campaigns/query", {"filters": body}), ("campaigns/query", body)):
        refused = campaigns.send("POST", path, content)
        assert refused.status_code == 422
        assert len(refused.content) < 20_000
        assert len(refused.json()["errors"]) == 20
    assert len(campaigns.send("GET", "x" * 5000).content) < 2000


def test_strangers_learn_nothing(campaigns: Caller) -> None:
    answers = [
        campaigns.http.request(method, path, content=b"{")
        for method, path in (
            ("POST", "/v1/databases/campaign_db/campaigns/query"),
            ("POST", "/v1/databases/no_such_db/x"),
            ("GET", "/v1/databases/campaign_db/campaigns/1"),
            ("GET", "/nowhere"),
        )
    ]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
        (401, "Send this service's token as 'Authorization: Bearer …'.")
    }


def test_locked_table_leaves_the_instance_ready_and_other_databases_served(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage)
    content["database"] |= {"pool_size": 2, "pool_timeout_seconds": 1, "lock_timeout_seconds": 3}
    with running("storage_service", content, directory) as service, ThreadPoolExecutor(6) as threads:
        caller = Caller(service.http, "campaign_db", storage)
        other = Caller(service.http, "image_db", storage)
        with storage.connection() as blocker:
            blocker.cursor().execute("LOCK TABLE campaign_db.campaigns")
            waiting = [threads.submit(caller.send, "POST", "campaigns", campaign()) for _ in range(6)]
            time.sleep(0.5)
            begun = time.monotonic()
            ready = service.http.get("/health/ready")
            assert (ready.status_code, ready.json()["databases"]["campaign_db"]["pool"]) == (200, "busy")
            assert ready.json()["databases"]["image_db"]["pool"] == "free"
            assert other.create("images", **image())
            assert time.monotonic() - begun < 0.8
            answers = [one.result() for one in waiting]
        names = {answer.json()["type"] for answer in answers}
        assert names == {"urn:problem:locked", "urn:problem:overloaded"}
        assert caller.send("POST", "campaigns", campaign()).status_code == 201


def test_readiness_tells_fenced_from_grants_that_are_missing(campaigns: Caller) -> None:
    storage, http = campaigns.storage, campaigns.http
    storage.execute("""
        CREATE FUNCTION campaign_db.fence_in_test() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'closed' USING ERRCODE = '25006'; END$$;
        CREATE TRIGGER aa_consolidation_fence BEFORE INSERT OR UPDATE OR DELETE ON campaign_db.campaigns
            FOR EACH STATEMENT EXECUTE FUNCTION campaign_db.fence_in_test();
    """)
    try:
        time.sleep(0.3)
        ready = http.get("/health/ready")
        assert (ready.status_code, ready.json()["databases"]["campaign_db"]["writes"]) == (200, "fenced")
        assert ready.json()["databases"]["image_db"]["writes"] == "open"
        assert campaigns.send("POST", "campaigns", campaign()).json()["type"] == "urn:problem:fenced"
    finally:
        storage.execute("DROP FUNCTION campaign_db.fence_in_test() CASCADE")
    storage.execute("REVOKE UPDATE ON campaign_db.campaigns FROM storage_service")
    try:
        time.sleep(0.3)
        ready = http.get("/health/ready")
        assert (ready.status_code, ready.json()["state"]) == (503, "grant-missing")
        assert ready.json()["databases"]["campaign_db"]["missing_grants"] == ["campaigns"]
        refused = campaigns.send("PATCH", f"campaigns/{uuid4()}", {"name": "n"})
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:grant-missing")
    finally:
        storage.execute("GRANT UPDATE ON campaign_db.campaigns TO storage_service")


@pytest.mark.parametrize("right", ["SELECT", "INSERT", "DELETE"])
def test_readiness_sees_what_writes_with_a_key_need(campaigns: Caller, right: str) -> None:
    storage, http = campaigns.storage, campaigns.http
    storage.execute(f"REVOKE {right} ON storage_service.idempotency_keys FROM storage_service")
    try:
        time.sleep(0.3)
        ready = http.get("/health/ready")
        assert (ready.status_code, ready.json()["state"]) == (503, "grant-missing")
        assert ready.json()["missing_grants"] == ["storage_service.idempotency_keys"]
    finally:
        storage.execute(f"GRANT {right} ON storage_service.idempotency_keys TO storage_service")


def test_standby_is_told_from_a_fence(storage: Database, directory: Path) -> None:
    with running("storage_service", storage_configuration(storage), directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        mark = storage.server.directory / "data" / "standby.signal"
        storage.server.stop()
        mark.touch()
        storage.server.start()
        try:
            ready = service.http.get("/health/ready")
            assert (ready.status_code, ready.json()["state"]) == (503, "standby")
            assert caller.send("POST", "campaigns/query", {}).status_code in {200, 503}
            refused = caller.send("POST", "campaigns", campaign(), Idempotency_Key="k")
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:standby")
        finally:
            storage.server.stop()
            mark.unlink(missing_ok=True)
            storage.server.start()


@pytest.mark.parametrize(
    "inside",
    [b"[" * 100_000 + b"]" * 100_000, b'["x"', b"\xff", b"{}", b"[]", b"[5]", b'["x",null,null,null]'],
)
def test_cursor_of_someones_own_making_is_refused(campaigns: Caller, inside: bytes) -> None:
    for cursor in (base64.urlsafe_b64encode(inside).decode(), inside.decode("latin-1")):
        refused = campaigns.send("POST", "campaigns/query", {"cursor": cursor})
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:problem:invalid-cursor")


def test_bodies_nested_without_end_are_refused(campaigns: Caller) -> None:
    nested = "[" * 200_000
    for path in ("campaigns/query", "campaigns/read", "campaigns/batch", "campaigns"):
        for body in (nested, nested + "]" * 200_000, f'{{"filters":{nested}', f'{{"rows":{nested}{"]" * 200_000}}}'):
            assert campaigns.send("POST", path, body).status_code in {400, 422}


@pytest.mark.parametrize(
    "number", ["1.00000000000000000001", "1.5", "1e-5", "1e999999999", "1e99999999999999999999", "-2147483649.0"]
)
def test_integers_have_no_fraction(campaigns: Caller, number: str) -> None:
    body = f'{{"id": "{uuid4()}", "title": "t", "sequence_number": {number}}}'
    assert campaigns.send("POST", "chapters", body).status_code == 422
    assert campaigns.send("POST", "campaigns/query", f'{{"limit": {number}}}').status_code == 422
    assert (
        campaigns.send("POST", "chapters/query", f'{{"filters": {{"sequence_number": {number}}}}}').status_code == 422
    )


def test_no_answer_points_where_the_host_header_says(campaigns: Caller) -> None:
    for path in ("/health/", "/v1/databases/campaign_db/campaigns/", "//evil.example/", "/v1/databases/campaign_db"):
        answer = campaigns.http.get(path, headers={"Host": "evil.example"}, follow_redirects=False)
        assert answer.status_code in {401, 404, 405}
        assert "Location" not in answer.headers


def test_path_leads_to_no_other_table(campaigns: Caller) -> None:
    parent = campaigns.create("campaigns", **campaign())
    chapter = campaigns.create("chapters", campaign_id=parent["id"], title="t", sequence_number=1)
    for path in (f"campaigns/../chapters/{chapter['id']}", f"campaigns/..%2fchapters%2f{chapter['id']}"):
        with socket.create_connection(campaigns.http.base_url.netloc.decode().split(":"), timeout=20) as connection:  # type: ignore[arg-type]  # host and port
            connection.sendall(
                f"DELETE /v1/databases/campaign_db/{path} HTTP/1.1\r\nHost: x\r\n{AUTHORIZED}"
                "Connection: close\r\n\r\n".encode()
            )
            assert connection.recv(65536).split()[1] in {b"404", b"422"}
    assert campaigns.query("chapters")["rows"] == [chapter]


def test_request_id_is_the_callers_in_answer_and_log(campaigns: Caller, service: Running) -> None:
    answer = campaigns.send("POST", "campaigns/query", {}, X_Request_Id="from-the-caller.1")
    assert answer.headers["X-Request-Id"] == "from-the-caller.1"
    other = campaigns.send("POST", "campaigns/query", {}, X_Request_Id="a b\tc")
    assert other.headers["X-Request-Id"] not in {"a b\tc", ""}
    time.sleep(0.3)
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert "from-the-caller.1" in {line.get("request_id") for line in lines}


def reloaded(service: Running, content: dict[str, Any] | str, message: str) -> None:
    """Write the configuration, send SIGHUP, wait for the log to say `message`."""
    before = service.log.read_text().count(message)
    service.config.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    service.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while service.log.read_text().count(message) == before:
        assert time.monotonic() < deadline, service.log.read_text()[-2000:]
        time.sleep(0.05)


def test_sighup_reads_the_configuration_again(storage: Database, directory: Path) -> None:
    with running("storage_service", storage_configuration(storage), directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        content = yaml.safe_load(service.config.read_text())
        content["services"]["campaign_service"]["token_sha256"] = token_sha256("a-new-token")
        reloaded(service, content, "the configuration was reloaded")
        assert caller.send("POST", "campaigns/query", {}).status_code == 401
        assert caller.send("POST", "campaigns/query", {}, token="a-new-token").status_code == 200
        # A file that cannot be used changes nothing.
        reloaded(service, "server: [", "the configuration was not reloaded")
        assert caller.send("POST", "campaigns/query", {}, token="a-new-token").status_code == 200
        del content["storage"]["databases"]["campaign_db"]
        reloaded(service, content, "the configuration was reloaded")
        assert caller.send("POST", "campaigns/query", {}, token="a-new-token").status_code == 404
        assert service.http.get("/health/ready").status_code == 200
