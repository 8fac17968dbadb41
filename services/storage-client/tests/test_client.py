"""Errors and repetitions, against a transport that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import pytest
from storage_client import (
    CampaignDBClient,
    Conflict,
    Forbidden,
    InvalidRequest,
    NoAnswer,
    NotFound,
    NotWritten,
    Request,
    Response,
    StorageClient,
    StorageError,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    VersionMismatch,
)

Result = TypeVar("Result")
KEY = UUID(int=1)
REFUSED = NoAnswer("ConnectionRefusedError", sent=False)
LOST = NoAnswer("ConnectionResetError", sent=True)


class Answering:
    """A transport that gives the answers one after the other, the last one for ever."""

    def __init__(self, *answers: Response | NoAnswer) -> None:
        self.answers = answers
        self.seen: list[Request] = []

    async def send(self, request: Request, timeout_seconds: float) -> Response:  # noqa: ARG002 - a Transport
        answer = self.answers[min(len(self.seen), len(self.answers) - 1)]
        self.seen.append(request)
        if isinstance(answer, Response):
            return answer
        raise answer

    async def aclose(self) -> None:
        pass


def answer(status: int, content: Any = None, **headers: str) -> Response:
    names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Response(status, b"" if content is None else json.dumps(content).encode(), names)


def run(transport: Answering, use: Callable[[StorageClient], Coroutine[Any, Any, Result]], **options: Any) -> Result:
    async def main() -> Result:
        async with StorageClient("http://storage", "hush-hush", transport=transport, **options) as it:
            return await use(it)

    return asyncio.run(main())


@pytest.mark.parametrize("trouble", [answer(503), answer(502), REFUSED, LOST])
def test_write_is_repeated_under_the_same_key(trouble: Any) -> None:
    transport = Answering(trouble, trouble, answer(201, {"id": "x"}, ETag='"5"'))
    row = run(transport, lambda client: client.write("campaign_db", "campaigns", {"name": "n"}))
    assert row == {"id": "x"}
    assert len(transport.seen) == 3
    [key] = {request.headers["Idempotency-Key"] for request in transport.seen}
    assert (row.idempotency_key, row.version) == (key, "5")
    [content] = {request.body for request in transport.seen}
    assert UUID(json.loads(content)["id"])


def test_every_write_has_its_own_key() -> None:
    transport = Answering(answer(200, {}))

    async def twice(client: StorageClient) -> None:
        await client.delete("campaign_db", "campaigns", KEY)
        await client.delete("campaign_db", "campaigns", KEY)

    run(transport, twice)
    assert transport.seen[0].headers["Idempotency-Key"] != transport.seen[1].headers["Idempotency-Key"]


def test_gives_up_in_time_and_hands_id_and_key_over() -> None:
    transport = Answering(LOST)
    for write in (
        lambda client: client.update("campaign_db", "campaigns", KEY, {"name": "n"}),
        lambda client: client.write("campaign_db", "campaigns", {"id": KEY, "name": "n"}),
        lambda client: CampaignDBClient(client).create_campaign({"id": str(KEY), "name": "n"}),
    ):
        before = len(transport.seen)
        with pytest.raises(Unavailable) as caught:
            run(transport, write, retry_seconds=0.3)
        assert len(transport.seen) > before + 1
        assert caught.value.idempotency_key == transport.seen[-1].headers["Idempotency-Key"]
        assert caught.value.id == KEY


def test_id_and_key_of_a_typed_create_are_the_callers() -> None:
    transport = Answering(answer(409, {"type": "urn:problem:already-exists"}))
    with pytest.raises(Conflict) as caught:
        run(transport, lambda client: CampaignDBClient(client).create_campaign({"id": KEY}, idempotency_key="mine"))
    assert (caught.value.id, caught.value.idempotency_key) == (KEY, "mine")
    assert transport.seen[0].headers["Idempotency-Key"] == "mine"
    assert json.loads(transport.seen[0].body) == {"id": str(KEY)}


def test_write_with_its_values_in_another_order_is_the_same_request() -> None:
    transport = Answering(LOST, answer(201, {}), answer(201, {"rows": [], "versions": []}))

    async def lose_and_repeat(client: StorageClient) -> None:
        with pytest.raises(Unavailable) as lost:
            await client.write("d", "t", {"b": 1, "a": 2})
        await client.write("d", "t", {"a": 2, "id": str(lost.value.id).upper(), "b": 1}, idempotency_key="k")
        await client.update("d", "t", KEY, {"b": 1, "a": 2})
        await client.update("d", "t", KEY, {"a": 2, "b": 1})

    run(transport, lose_and_repeat, retry_seconds=0)
    bodies = [request.body for request in transport.seen]
    assert bodies[0] == bodies[1]
    assert bodies[2] == bodies[3] == b'{"a":2,"b":1}'


def test_batch_that_fails_hands_ids_and_key_over_and_can_be_repeated() -> None:
    rows: list[dict[str, Any]] = [{"name": "a"}, {"name": "b", "id": KEY}]
    for trouble in (LOST, Response(201, b"<html>"), answer(201, {"rows": [{}], "versions": []})):
        transport = Answering(trouble)
        with pytest.raises(Unavailable) as caught:
            run(transport, lambda client: client.write_many("d", "t", rows), retry_seconds=0)
        error = caught.value
        assert (type(error), len(error.ids), error.ids[1], error.id) == (Unavailable, 2, KEY, None)

        async def repeat(client: StorageClient, error: StorageError = error) -> None:
            again = [row | {"id": id} for row, id in zip(rows, error.ids, strict=True)]
            await client.write_many("d", "t", again, idempotency_key=error.idempotency_key)

        with pytest.raises(Unavailable):
            run(transport, repeat, retry_seconds=0)
        first, second = transport.seen
        assert (first.body, first.headers["Idempotency-Key"]) == (second.body, second.headers["Idempotency-Key"])


def test_retry_after_is_respected() -> None:
    transport = Answering(answer(503, Retry_After="7"))
    with pytest.raises(Unavailable) as caught:
        run(transport, lambda client: client.read("campaign_db", "campaigns"), retry_seconds=0.5)
    assert len(transport.seen) == 1
    assert caught.value.retry_after_seconds == 7


def test_those_refused_together_do_not_come_back_together() -> None:
    document = {"type": "urn:problem:fenced", "retry_after_seconds": 0.1}
    came_back = []

    async def one() -> None:
        transport = Answering(answer(503, document, Retry_After="1"), answer(201, {}))
        begun = time.monotonic()
        async with StorageClient("http://storage", "t", transport=transport) as client:
            await client.write("d", "t", {})
        came_back.append(time.monotonic() - begun)

    async def fifty() -> None:
        await asyncio.gather(*(one() for _ in range(50)))

    asyncio.run(fifty())
    # The document's time is in step with the fence; the header's whole second would be late.
    assert min(came_back) >= 0.1
    assert max(came_back) < 0.4
    assert max(came_back) - min(came_back) > 0.02


def problem(name: str) -> Response:
    return answer(503, {"type": f"urn:problem:{name}", "detail": "what to do"})


@pytest.mark.parametrize(
    ("answers", "key", "certain"),
    [
        ([problem("fenced")], None, True),
        ([problem("locked"), problem("fenced")], None, True),
        ([REFUSED, problem("fenced")], None, True),
        ([problem("timeout")], None, False),
        ([problem("outcome-unknown")], None, False),
        ([problem("database-unavailable")], None, False),
        ([answer(503)], None, False),
        ([answer(502, {"type": "urn:problem:fenced"})], None, False),
        ([LOST, problem("fenced")], None, False),
        ([LOST, problem("overloaded")], None, False),
        ([problem("timeout"), problem("fenced")], None, False),
        # Under a key of its own the caller may have written in an earlier call.
        ([problem("overloaded")], "mine", False),
        ([problem("fenced")], "mine", False),
    ],
)
def test_nothing_written_is_said_only_when_no_attempt_left_it_open(
    answers: list[Any], key: str | None, certain: bool
) -> None:
    transport = Answering(*answers)
    with pytest.raises(Unavailable) as caught:
        run(transport, lambda client: client.write("d", "t", {}, idempotency_key=key), retry_seconds=0.4)
    assert len(transport.seen) > len(answers) - 1
    assert isinstance(caught.value, NotWritten) is certain
    assert getattr(caught.value, "problem", None) == ("fenced" if certain else None)
    assert caught.value.idempotency_key == transport.seen[0].headers["Idempotency-Key"]


@pytest.mark.parametrize("strange", [answer(500), answer(302), Response(200, b"<html>"), answer(201, [])])
def test_write_that_was_answered_by_who_knows_may_have_happened(strange: Response) -> None:
    with pytest.raises(Unavailable) as caught:
        run(Answering(strange), lambda client: client.update("d", "t", KEY, {"a": 1}))
    assert not isinstance(caught.value, NotWritten)
    assert (caught.value.id, bool(caught.value.idempotency_key)) == (KEY, True)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, NotFound),
        (412, VersionMismatch),
        (413, InvalidRequest),
        (422, InvalidRequest),
        (500, UnexpectedAnswer),
        (302, UnexpectedAnswer),
    ],
)
def test_refusal_has_its_own_error_and_is_not_repeated(status: int, kind: type[StorageError]) -> None:
    document = {"type": "urn:problem:x", "detail": "what to do", "errors": [{"field": "body.x", "message": "m"}]}
    transport = Answering(answer(status, document))
    with pytest.raises(StorageError, match="what to do") as caught:
        run(transport, lambda client: client.read("campaign_db", "campaigns"))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.errors) == (status, document["errors"])
    assert len(transport.seen) == 1
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize("status", [404, 409, 410, 412])
@pytest.mark.parametrize("content", [None, {"detail": "Not Found"}, {"type": "about:blank"}, []])
def test_who_is_no_storage_service_says_nothing_of_a_record(status: int, content: Any) -> None:
    stranger = Answering(answer(status, content))
    with pytest.raises(UnexpectedAnswer):
        run(stranger, lambda client: client.get("d", "t", KEY))
    with pytest.raises(Unavailable) as caught:
        run(stranger, lambda client: client.update("d", "t", KEY, {"a": 1}))
    assert (type(caught.value), caught.value.id) == (Unavailable, KEY)


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (answer(401, {"type": "urn:problem:unauthorized"}), Unauthorized),
        (answer(403, {"type": "urn:problem:forbidden"}), Forbidden),
        (answer(404, {"type": "urn:problem:no-such-path"}), InvalidRequest),
    ],
)
def test_refusal_at_the_door_leaves_the_attempt_before_it_open(refused: Response, kind: type[StorageError]) -> None:
    for before, expected in ((LOST, Unavailable), (answer(502), Unavailable), (REFUSED, kind)):
        with pytest.raises(StorageError) as caught:
            run(Answering(before, refused), lambda client: client.write("d", "t", {}))
        assert (type(caught.value), bool(caught.value.idempotency_key)) == (expected, True)
    with pytest.raises(kind):
        run(Answering(LOST, refused), lambda client: client.read("d", "t"))


@pytest.mark.parametrize("content", ["<html>", "[]", '{"rows": 1}', "", '{"rows": [{}], "versions": []}'])
def test_answer_of_someone_else_is_an_error(content: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        run(Answering(Response(200, content.encode())), lambda client: client.read("campaign_db", "campaigns"))


def test_value_that_json_has_not_is_refused_before_anything_is_sent() -> None:
    transport = Answering(answer(201))
    for value in (float("nan"), [Decimal("Infinity")], object(), {(1, 2): 2}):
        with pytest.raises(InvalidRequest):
            run(transport, lambda client, it=value: client.write("d", "t", {"a": it}))
    assert transport.seen == []


@pytest.mark.parametrize("id", ["../chapters/00000000-0000-0000-0000-000000000001", "", "x", "?a=1", None])
def test_nothing_but_a_uuid_leads_to_a_record(id: Any) -> None:
    transport = Answering(answer(200, {}))
    for use in (
        lambda client: client.delete("campaign_db", "campaigns", id),
        lambda client: client.update("campaign_db", "campaigns", id, {"name": "n"}),
        lambda client: client.get("campaign_db", "campaigns", id),
        lambda client: client.read_many("campaign_db", "campaigns", [id]),
    ):
        with pytest.raises(InvalidRequest):
            run(transport, use)
    assert transport.seen == []


@pytest.mark.parametrize("name", ["../image_db", "campaigns/query", "a b", "", "x\r\nHost: y"])
def test_names_do_not_lead_elsewhere(name: str) -> None:
    transport = Answering(answer(200, {}))
    for at in ((name, "campaigns"), ("campaign_db", name)):
        with pytest.raises(InvalidRequest):
            run(transport, lambda client, at=at: client.read(*at))
    assert transport.seen == []


def test_keys_tokens_and_request_ids_do_not_add_header_lines() -> None:
    transport = Answering(answer(200, {}))
    with pytest.raises(InvalidRequest):
        run(transport, lambda client: client.write("d", "t", {}, idempotency_key="a\r\nX: y"))
    with pytest.raises(InvalidRequest):
        run(transport, lambda client: client.update("d", "t", KEY, {"a": 1}, if_version='1"\r\nX: y'))
    run(transport, lambda client: client.get("d", "t", KEY), request_id=lambda: "a\r\nX: y")
    assert "X-Request-Id" not in transport.seen[-1].headers
    run(transport, lambda client: client.get("d", "t", KEY), request_id=lambda: "abc-1")
    assert transport.seen[-1].headers["X-Request-Id"] == "abc-1"
    with pytest.raises(ValueError, match="token"):
        StorageClient("http://storage", "a\nb", transport=transport)


def test_token_does_not_cross_a_network_in_clear() -> None:
    for url in ("http://storage.example:8100", "http://10.0.0.1", "http://[2001:db8::1]:1"):
        with pytest.raises(ValueError, match="in clear"):
            StorageClient(url, "t")
        StorageClient(url, "t", allow_plaintext=True)
    for url in ("http://127.0.0.1:1", "http://localhost", "http://[::1]:1", "https://storage.example"):
        StorageClient(url, "t")
    for url in ("storage.example:8100", "ftp://x", "http://"):
        with pytest.raises(ValueError, match="not the address"):
            StorageClient(url, "t")


def test_health_does_not_raise() -> None:
    for strange in (REFUSED, answer(503), answer(200, []), Response(200, b"<html>")):
        assert run(Answering(strange), lambda client: client.health())["ok"] is False
