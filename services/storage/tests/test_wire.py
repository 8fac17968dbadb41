"""HTTP/1.1 as it crosses the wire: each request has its answer, in order, whichever way it is framed."""

from __future__ import annotations

import json
import socket
from typing import BinaryIO

import pytest

from services.tests.harness import TOKENS, Caller, Running, campaign

Answer = tuple[int, dict[str, str], bytes]


def sent(service: Running, *requests: tuple[str, bytes], together: bool = True) -> list[Answer]:
    """The answers to requests of one connection, each a head without its host, and a body.

    together: all go out before any is answered.
    """
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection, connection.makefile("rb") as answers:
        fields = f"\r\nHost: x\r\nAuthorization: Bearer {TOKENS['campaign_db']}\r\n\r\n".encode()
        if together:
            connection.sendall(b"".join(head.encode() + fields + body for head, body in requests))
        received = []
        for head, body in requests:
            if not together:
                connection.sendall(head.encode() + fields + body)
            received.append(answer(answers, has_body=not head.startswith("HEAD")))
        return received


def answer(answers: BinaryIO, *, has_body: bool) -> Answer:
    """The next one."""
    version, number, _ = answers.readline().split(maxsplit=2)
    assert version == b"HTTP/1.1"
    status = int(number)
    fields = {}
    while line := answers.readline().decode().strip():
        name, _, value = line.partition(": ")
        fields[name] = value
    if status == 100:
        return answer(answers, has_body=has_body)
    return status, fields, answers.read(int(fields["content-length"])) if has_body else b""


def test_requests_sent_without_waiting_are_answered_in_their_order(campaigns: Caller, service: Running) -> None:
    row = campaigns.create("campaigns", **campaign(name="one"))
    path = f"/v1/databases/campaign_db/campaigns/{row['id']}"
    answers = sent(
        service,
        (f"GET {path} HTTP/1.1", b""),
        (f"PATCH {path} HTTP/1.1\r\nContent-Length: 14", b'{"name":"two"}'),
        (f"GET {path} HTTP/1.1", b""),
        ("HEAD /health/live HTTP/1.1", b""),
        (f"GET {path}0 HTTP/1.1", b""),
        (f"PATCH {path} HTTP/1.1\r\nTransfer-Encoding: chunked", b'7\r\n{"name"\r\n9\r\n:"three"}\r\n0\r\n\r\n'),
        (f"GET {path} HTTP/1.1", b""),
    )
    assert [status for status, _, _ in answers] == [200, 200, 200, 200, 422, 200, 200]
    names = [json.loads(body)["name"] for status, _, body in answers if status == 200 and body]
    assert names == ["one", "two", "two", "three", "three"]
    assert len({fields["x-request-id"] for _, fields, _ in answers}) == len(answers)


@pytest.mark.parametrize("together", [True, False])
def test_no_way_of_framing_confuses_the_next_answer(campaigns: Caller, service: Running, together: bool) -> None:
    row = campaigns.create("campaigns", **campaign(name="one"))
    path = f"/v1/databases/campaign_db/campaigns/{row['id']}"
    for head, body, status in (
        (f"PATCH {path} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 14", b'{"name":"two"}', 200),
        (f"GET {path} HTTP/1.1\r\nContent-Length: 14", b'{"name":"two"}', 200),
        (f"POST {path} HTTP/1.1\r\nContent-Length: 14", b'{"name":"two"}', 405),
        ("POST /v1/nonsense HTTP/1.1\r\nContent-Length: 14", b'{"name":"two"}', 404),
        (f"PATCH {path} HTTP/1.1", b"", 400),
        ("HEAD /health/live HTTP/1.1", b"", 200),
    ):
        answers = sent(service, (head, body), (f"GET {path} HTTP/1.1", b""), together=together)
        assert [each[0] for each in answers] == [status, 200], head
        assert json.loads(answers[1][2])["name"] == "two", head


@pytest.mark.parametrize("head", ["GET /health/live HTTP/1.1\r\nConnection: close", "GET /health/live HTTP/1.0"])
def test_connection_ends_where_the_client_wants_it(service: Running, head: str) -> None:
    [(status, fields, body)] = sent(service, (head, b""))
    assert (status, fields["connection"], body) == (200, "close", b'{"status":"alive"}')
