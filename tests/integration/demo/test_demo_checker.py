"""The checker's rules: what may be there after which answers, and how an outage is measured."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from demo import checker
from demo.checker import Row
from demo.client import Client, outcome_of
from demo.ledger import Operation

TABLES = ("campaigns", "chapters", "images", "overlays")
A, B = ("a", False), ("b", False)


def history(*answers: str) -> list[Operation]:
    """`create:a:acknowledged`: kind, digest, outcome."""
    operations = []
    for number, answer in enumerate(answers):
        kind, digest, outcome = answer.split(":")
        id = "1" if outcome == "acknowledged" else None
        fields: Any = (kind, digest, number, number + 0.5, outcome, "?", id)
        operations.append(Operation("image", "images", "traffic-1", *fields))
    return operations


@pytest.mark.parametrize(
    ("answers", "found", "wrong"),
    [
        (["create:a:acknowledged"], [A], None),
        (["create:a:acknowledged"], [], "missing"),
        (["create:a:acknowledged"], [B], "altered"),
        (["create:a:acknowledged"], [A, A], "duplicated"),
        (["create:a:refused"], [], None),
        (["create:a:refused"], [A], "uncalled"),
        (["create:a:unknown"], [], None),
        (["create:a:unknown"], [A], None),
        (["create:a:unknown"], [A, A], "duplicated"),
        (["create:a:unknown"], [B], "altered"),
        (["create:a:acknowledged", "update:b:acknowledged"], [B], None),
        (["create:a:acknowledged", "update:b:acknowledged"], [A], "altered"),
        (["create:a:acknowledged", "update:b:acknowledged"], [], "missing"),
        (["create:a:acknowledged", "update:b:refused"], [A], None),
        (["create:a:acknowledged", "update:b:refused"], [B], "altered"),
        (["create:a:acknowledged", "update:b:unknown"], [A], None),
        (["create:a:acknowledged", "update:b:unknown"], [B], None),
        (["create:a:acknowledged", "update:b:unknown"], [], "missing"),
        (["create:a:acknowledged", "delete:a:acknowledged"], [("a", True)], None),
        (["create:a:acknowledged", "delete:a:acknowledged"], [A], "altered"),
        (["create:a:acknowledged", "delete:a:acknowledged"], [], "missing"),
        ([], [A], "uncalled"),
    ],
)
def test_what_may_be_there(answers: list[str], found: list[checker.State], wrong: str | None) -> None:
    rows: dict[str, dict[str, list[Row]]] = {table: {} for table in TABLES}
    if found:
        rows["images"]["traffic-1"] = [Row("1", state) for state in found]
    verdict = checker.check(history(*answers), rows)["image"]
    assert verdict.wrong == (["traffic-1"] if wrong else [])
    if wrong:
        assert getattr(verdict, wrong) == ["traffic-1"]


def test_a_row_under_another_key_than_the_client_was_told_is_altered() -> None:
    rows: dict[str, dict[str, list[Row]]] = {table: {} for table in TABLES}
    rows["images"]["traffic-1"] = [Row("2", A)]
    assert checker.check(history("create:a:acknowledged"), rows)["image"].altered == ["traffic-1"]


@pytest.mark.parametrize(
    ("acknowledged", "window", "expected"),
    [
        ([1, 2, 9, 10], (0, 12), (2, 9)),
        ([1, 2, 9, 10, 30], (0, 12), (2, 9)),  # what follows the window does not count
        ([1, 2, 30], (1.5, 4), (2, 30)),  # but an outage is told in full
        ([1, 2], (0, 20), (2, None)),
        ([], (0, 20), (None, None)),
        ([15, 16], (0, 20), (None, 15)),
    ],
)
def test_outage_is_the_longest_silence(
    acknowledged: list[float], window: tuple[float, float], expected: tuple[float | None, float | None]
) -> None:
    def operation(answered: float, outcome: Any, answer: str) -> Operation:
        return Operation("image", "images", "t", "create", "", answered - 0.01, answered, outcome, answer, None)

    operations = [operation(answered, "acknowledged", "201") for answered in acknowledged]
    operations += [operation(5, "refused", "503 fenced"), operation(40, "refused", "503 fenced")]
    [outage] = checker.outages(operations, *window)
    assert (outage.last_before, outage.first_after) == expected
    assert outage.errors == ({"503 fenced": 1} if window[1] > 5 else {})


def test_longest_wait_is_that_of_a_write_sent_in_the_window() -> None:
    times = [(0.0, 9.0), (1.0, 1.5), (2.0, 4.5), (6.0, 20.0)]
    operations = [
        Operation("image", "images", "t", "create", "", sent, answered, "acknowledged", "201", None)
        for sent, answered in times
    ]
    [outage] = checker.outages(operations, 0.5, 5)
    assert outage.longest_wait == 2.5


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, '{"id": "1"}', "acknowledged"),
        (200, "not what was expected", "unknown"),
        (503, '{"type": "urn:problem:fenced"}', "refused"),
        (503, '{"type": "urn:problem:timeout"}', "unknown"),
        (503, '{"type": "urn:problem:storage-unavailable"}', "unknown"),
        (503, "<html>", "unknown"),
        (500, '{"type": "urn:problem:fenced"}', "unknown"),
        (404, '{"type": "urn:problem:not-found"}', "refused"),
    ],
)
def test_only_a_clear_answer_is_believed(status: int, body: str, outcome: str) -> None:
    assert outcome_of(httpx.Response(status, content=body))[0] == outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(httpx.ConnectError, "refused"), (httpx.ReadTimeout, "unknown"), (httpx.RemoteProtocolError, "unknown")],
)
def test_a_broken_connection_is_unknown_once_the_request_may_be_out(
    error: type[httpx.TransportError], outcome: str
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("")

    async def write() -> Operation:
        async with httpx.AsyncClient(base_url="http://x", transport=httpx.MockTransport(fail)) as http:
            return await Client("campaign", http).write("traffic-1")

    assert asyncio.run(write()).outcome == outcome
