"""HTTP/1.1 over kept connections: asyncio's transports, and httptools to parse the answers."""

import asyncio
import ipaddress
import ssl
import time
from collections import deque
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools

from storage_client.transport import NoAnswer, Request, Response

IDLE_SECONDS = 20.0
"""An idle connection is not used any longer; well below the service's own limit, so that the two do not race."""
MAX_CONNECTIONS = 100
CLOSE_SECONDS = 1.0


class HttpTransport:
    """Connections to one Storage Service: one request on each at a time, as many as there are callers, up to a limit.

    https needs a certificate that `ca_file` (by default: the system's CAs) vouches for. http is refused for hosts other
    than the loopback, where the token would cross the network in clear, unless `allow_plaintext`.
    """

    def __init__(self, url: str, ca_file: str | Path | None = None, *, allow_plaintext: bool = False) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is not the address of a Storage Service: give http(s)://HOST:PORT")
        if parts.scheme == "http" and not (allow_plaintext or is_loopback(parts.hostname)):
            raise ValueError(
                f"the token would cross the network in clear to {parts.hostname}: give https:// or allow_plaintext=True"
            )
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._ssl = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        self._prefix = parts.path.rstrip("/")
        self._host_line = f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
        self._idle: list[_Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._open = 0
        self._connections: set[_Connection] = set()

    async def send(self, request: Request, timeout_seconds: float) -> Response:
        """The complete answer. Raises NoAnswer."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
        if request.body or request.method == "POST":
            lines += f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n"
        head = f"{request.method} {self._prefix}{request.path} HTTP/1.1\r\n{self._host_line}{lines}\r\n"
        deadline = time.monotonic() + timeout_seconds
        connection = self._idle_one() or await self._take(timeout_seconds)
        try:
            return await connection.exchange(head.encode("latin-1") + request.body, deadline - time.monotonic())
        finally:
            self._give_back(connection)

    async def aclose(self) -> None:
        """Close the connections."""
        self._idle.clear()
        for connection in self._connections:
            connection.close()
        if self._connections:
            # Until they are: a loop that ends before would leave them open. TLS says good-bye first.
            await asyncio.wait([connection.closed for connection in self._connections], timeout=CLOSE_SECONDS)
        for connection in [*self._connections]:
            connection.abort()

    async def _take(self, timeout_seconds: float) -> "_Connection":
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    if connection := self._idle_one():
                        return connection
                    if self._open < MAX_CONNECTIONS:
                        return await self._connect()
                    await self._wait_for_one()
        except TimeoutError:
            raise NoAnswer(f"no connection in {timeout_seconds:g} s", sent=False) from None
        except OSError as error:  # ssl.SSLError is one
            raise NoAnswer(type(error).__name__, sent=False) from error

    def _idle_one(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
            self._forget(connection)
        return None

    async def _connect(self) -> "_Connection":
        self._open += 1
        try:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._ssl)
        except BaseException:
            self._open -= 1
            self._wake()
            raise
        self._connections.add(connection)
        connection.closed.add_done_callback(lambda _: self._connections.discard(connection))
        return connection

    async def _wait_for_one(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._wake()  # it was this one's turn: the next one's, then
            raise
        finally:
            if place in self._waiting:
                self._waiting.remove(place)

    def _give_back(self, connection: "_Connection") -> None:
        if connection.usable():
            self._idle.append(connection)
            self._wake()
        else:
            self._forget(connection)

    def _forget(self, connection: "_Connection") -> None:
        connection.close()
        self._open -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return


class _Connection(asyncio.Protocol):
    """One connection, at most one request under way."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._begun = False
        self._kept = False
        self._used = self._loop.time()
        self.closed = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._kept = True

    def usable(self) -> bool:
        """Whether the next request may go over it."""
        return self._kept and self._answer is None and self._loop.time() - self._used < IDLE_SECONDS

    def close(self) -> None:
        self._kept = False
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, data: bytes, timeout_seconds: float) -> Response:
        if self._transport is None or self._transport.is_closing():
            raise NoAnswer("connection closed", sent=False, stale=True)
        answer = self._answer = self._loop.create_future()
        self._headers, self._body, self._begun = {}, [], False
        late = self._loop.call_later(max(timeout_seconds, 0), self._fail, "ReadTimeout")
        try:
            self._transport.write(data)
            response: Response = await answer
            self._answer = None
            return response
        finally:
            late.cancel()
            if self._answer is not None:  # failed, or the caller was cancelled: an answer may still come
                self._kept = False
                self._transport.abort()
            self._used = self._loop.time()

    def _fail(self, reason: str, *, stale: bool = False) -> None:
        self._kept = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswer(reason, sent=True, stale=stale))

    def data_received(self, data: bytes) -> None:
        self._begun = True
        if self._answer is None:  # nothing was asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail("not an HTTP answer")

    def connection_lost(self, exc: Exception | None) -> None:
        used_before = self._used > 0 and not self._begun
        self._fail(type(exc).__name__ if exc else "connection closed", stale=used_before)
        if not self.closed.done():
            self.closed.set_result(None)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # 100 Continue and its like come before the answer
            self._headers, self._body = {}, []
            return
        self._kept = self._kept and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._answer.set_result(Response(status, body, self._headers))


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine: no packet to it leaves the machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
