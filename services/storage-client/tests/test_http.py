"""The client on a network that misbehaves: real sockets, a server that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

import pytest
import uvloop
from storage_client import Page, StorageClient, Unavailable, _http

Result = TypeVar("Result")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ROW = b'{"rows":[],"versions":[],"next_cursor":null}'
KEY = UUID(int=1)


def answer(body: bytes = ROW, status: bytes = b"200 OK", fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), fields, body)


async def request(reader: asyncio.StreamReader) -> bytes:
    """The head and body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return head + await reader.readexactly(length)


def run(serve: Serve, use: Callable[[StorageClient], Coroutine[Any, Any, Result]], **options: Any) -> Result:
    async def main() -> Result:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            async with StorageClient(f"http://127.0.0.1:{port}", "t", **options) as client:
                return await use(client)
        finally:
            server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


async def read(client: StorageClient) -> Page:
    return await client.read("d", "t")


def test_one_connection_serves_many_requests() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await request(reader)
            writer.write(answer())

    async def use(client: StorageClient) -> None:
        for _ in range(5):
            await read(client)

    run(serve, use)
    assert connections == 1


def test_connection_that_was_closed_while_idle_is_replaced_at_once() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request(reader))
        writer.write(answer(b'{"id":"x"}'))
        # Half of the closings arrive only after the next request was sent.
        await asyncio.sleep(0.01)

    async def use(client: StorageClient) -> float:
        begun = asyncio.get_running_loop().time()
        for number in range(20):
            await client.update("d", "t", KEY, {"n": number})
            await asyncio.sleep(0.0005 * number)
        return asyncio.get_running_loop().time() - begun

    # No wait between the attempts, though the retries would allow one.
    assert run(serve, use, retry_seconds=5) < 2


def test_answer_in_pieces_and_behind_a_continue_is_one_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        for byte in b"HTTP/1.1 100 Continue\r\n\r\n" + answer(fields=b'ETag: "1"\r\n'):
            writer.write(bytes([byte]))
            await writer.drain()
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (ROW[:10], ROW[10:]):
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        writer.write(b"0\r\n\r\n")

    async def use(client: StorageClient) -> list[Any]:
        return [(await read(client)).rows for _ in range(2)]

    assert run(serve, use) == [[], []]


@pytest.mark.parametrize("content", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b""])
def test_half_an_answer_and_none_are_no_answer(content: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(content)

    with pytest.raises(Unavailable):
        run(serve, read, retry_seconds=0.1)


def test_an_answer_that_does_not_come_is_waited_for_so_long_only() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - a callback
        await request(reader)
        await asyncio.sleep(30)

    async def use(client: StorageClient) -> float:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match="ReadTimeout"):
            await read(client)
        return asyncio.get_running_loop().time() - begun

    assert 0.2 < run(serve, use, timeout_seconds=0.3, retry_seconds=0.1) < 2


def test_caller_who_gives_up_does_not_leave_an_answer_to_the_next() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            slow = b'"slow"' in await request(reader)
            if slow:
                await asyncio.sleep(0.2)
            writer.write(
                answer(b'{"rows":[%s],"versions":[%s]}' % ((b'{"id":"slow"}', b'"1"') if slow else (b"", b"")))
            )

    async def use(client: StorageClient) -> list[Any]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.read("d", "t", {"name": "slow"})
        found = []
        for _ in range(5):
            found += (await read(client)).rows
            await asyncio.sleep(0.06)
        return found

    assert run(serve, use) == []


def test_more_callers_than_connections_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "MAX_CONNECTIONS", 3)
    at_once = most = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        while True:
            await request(reader)
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.005)
            at_once -= 1
            writer.write(answer())

    async def use(client: StorageClient) -> int:
        return len(await asyncio.gather(*(read(client) for _ in range(50))))

    assert run(serve, use) == 50
    assert most == 3


def test_nobody_there() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - a callback
        raise AssertionError

    async def use(_: StorageClient) -> None:
        async with StorageClient("http://127.0.0.1:1", "t", retry_seconds=0.1) as client:
            with pytest.raises(Unavailable, match="ConnectionRefusedError"):
                await read(client)

    run(serve, use)
