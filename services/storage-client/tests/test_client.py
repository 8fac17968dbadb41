"""Errors and repetitions, against a transport that misbehaves on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest
from storage_client import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    NotWritten,
    StorageClient,
    StorageError,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)

Result = TypeVar("Result")
Handler = Callable[[httpx.Request], httpx.Response]
KEY = UUID(int=1)


def run(handler: Handler, use: Callable[[StorageClient], Coroutine[Any, Any, Result]], **options: Any) -> Result:
    async def main() -> Result:
        async with StorageClient(
            "http://storage", "hush-hush", transport=httpx.MockTransport(handler), **options
        ) as it:
            return await use(it)

    return asyncio.run(main())


def answering(*answers: httpx.Response | type[httpx.TransportError], seen: list[httpx.Request]) -> Handler:
    """Gives the answers one after the other, the last one for ever."""

    def handle(request: httpx.Request) -> httpx.Response:
        answer = answers[min(len(seen), len(answers) - 1)]
        seen.append(request)
        if isinstance(answer, httpx.Response):
            return answer
        raise answer("as the test wants it", request=request)

    return handle


@pytest.mark.parametrize("trouble", [httpx.Response(503), httpx.ConnectError, httpx.ReadError, httpx.ReadTimeout])
def test_write_is_repeated_under_the_same_key(trouble: Any) -> None:
    seen: list[httpx.Request] = []
    handler = answering(trouble, trouble, httpx.Response(201, json={"id": "x"}), seen=seen)
    assert run(handler, lambda client: client.write("campaign_db", "campaigns", {"name": "n"})) == {"id": "x"}
    assert len(seen) == 3
    assert len({request.headers["Idempotency-Key"] for request in seen}) == 1
    assert len({request.content for request in seen}) == 1


def test_every_write_has_its_own_key() -> None:
    seen: list[httpx.Request] = []

    async def twice(client: StorageClient) -> None:
        await client.delete("campaign_db", "campaigns", KEY)
        await client.delete("campaign_db", "campaigns", KEY)

    run(answering(httpx.Response(200, json={}), seen=seen), twice)
    assert seen[0].headers["Idempotency-Key"] != seen[1].headers["Idempotency-Key"]


def test_gives_up_in_time_and_hands_the_key_over() -> None:
    seen: list[httpx.Request] = []
    with pytest.raises(Unavailable) as caught:
        run(
            answering(httpx.ConnectError, seen=seen),
            lambda client: client.update("campaign_db", "campaigns", KEY, {"name": "n"}),
            retry_seconds=0.3,
        )
    assert len(seen) > 1
    assert caught.value.idempotency_key == seen[0].headers["Idempotency-Key"]


def test_retry_after_is_respected() -> None:
    seen: list[httpx.Request] = []
    refused = httpx.Response(503, headers={"Retry-After": "7"})
    with pytest.raises(Unavailable) as caught:
        run(answering(refused, seen=seen), lambda client: client.read("campaign_db", "campaigns"), retry_seconds=0.5)
    assert len(seen) == 1
    assert caught.value.retry_after_seconds == 7


def problem(name: str) -> httpx.Response:
    return httpx.Response(503, json={"type": f"urn:problem:{name}", "detail": "what to do"})


@pytest.mark.parametrize(
    ("answers", "certain"),
    [
        ([problem("fenced")], True),
        ([problem("locked"), problem("fenced")], True),
        ([problem("timeout")], False),
        ([httpx.Response(503)], False),
        ([httpx.Response(502, json={"type": "urn:problem:fenced"})], False),
        ([httpx.ReadTimeout, problem("fenced")], False),
        ([problem("timeout"), problem("fenced")], False),
    ],
)
def test_nothing_written_is_said_only_when_no_attempt_left_it_open(answers: list[Any], certain: bool) -> None:
    seen: list[httpx.Request] = []
    with pytest.raises(Unavailable) as caught:
        run(answering(*answers, seen=seen), lambda client: client.write("d", "t", {}), retry_seconds=0.3)
    assert len(seen) > len(answers) - 1
    assert isinstance(caught.value, NotWritten) is certain
    assert getattr(caught.value, "problem", None) == ("fenced" if certain else None)
    assert caught.value.idempotency_key == seen[0].headers["Idempotency-Key"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (413, InvalidRequest),
        (422, InvalidRequest),
        (500, UnexpectedAnswer),
        (302, UnexpectedAnswer),
    ],
)
def test_refusal_has_its_own_error_and_is_not_repeated(status: int, kind: type[StorageError]) -> None:
    seen: list[httpx.Request] = []
    document = {"detail": "what to do", "errors": [{"field": "body.x", "message": "m"}]}
    with pytest.raises(StorageError, match="what to do") as caught:
        run(
            answering(httpx.Response(status, json=document), seen=seen),
            lambda client: client.read("campaign_db", "campaigns"),
        )
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.errors) == (status, document["errors"])
    assert len(seen) == 1
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"rows": 1}', ""])
def test_answer_of_someone_else_is_an_error(answer: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        run(lambda _: httpx.Response(200, text=answer), lambda client: client.read("campaign_db", "campaigns"))


def test_value_that_json_has_not_is_refused_before_anything_is_sent() -> None:
    seen: list[httpx.Request] = []
    for value in (float("nan"), object(), {1: 2}):
        with pytest.raises(InvalidRequest):
            run(answering(httpx.Response(201), seen=seen), lambda client, it=value: client.write("d", "t", {"a": it}))
    assert seen == []


def test_health_does_not_raise() -> None:
    assert run(answering(httpx.ConnectError, seen=[]), lambda client: client.health())["ok"] is False
    assert run(answering(httpx.Response(503), seen=[]), lambda client: client.health())["ok"] is False
    assert run(answering(httpx.Response(200, json=[]), seen=[]), lambda client: client.health())["ok"] is False
