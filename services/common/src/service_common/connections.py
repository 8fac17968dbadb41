"""What a connection may do before it has sent a request: little, and not for long.

uvicorn waits for ever for the head of a request, takes heads of any size and as many connections as there are files.
"""

import asyncio
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service_common.config import ServerConfig

START_FAILED = 3
LINGER_SECONDS = 1
RESERVED_FILES = 128
"""Of the process's limit: log, configuration, connections to the database."""


@dataclass
class Connections:
    """The connections of one server. Above the limit, who has not authenticated goes first, the oldest of them."""

    limit: int
    open: int = 0
    strangers: dict["BoundedHttp", None] = field(default_factory=dict)

    @classmethod
    def within(cls, config: ServerConfig) -> "Connections":
        """As many as the configuration says, or as the process may have files open."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = config.max_connections + RESERVED_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            return cls(min(config.max_connections, max(soft - RESERVED_FILES, 1)))
        return cls(config.max_connections)

    def add(self, connection: "BoundedHttp") -> None:
        self.open += 1
        self.strangers[connection] = None
        if self.open > self.limit:
            next(iter(self.strangers)).transport.abort()

    def remove(self, connection: "BoundedHttp") -> None:
        self.open -= 1
        self.strangers.pop(connection, None)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with limits on the head of a request: its size, and the time until it is complete."""

    def __init__(self, limits: ServerConfig, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits
        self._connections = connections
        self._head_bytes = 0
        self._head_complete = False
        self._ended = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self._limits.head_timeout_seconds, transport.abort)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_complete or self.transport.is_closing():
            return
        if self._head_bytes > self._limits.header_limit_bytes:
            self.send_400_response("The head of the request is too large.")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.head_timeout_seconds, self.transport.abort)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_complete = False
        self.scope["state"]["connection"] = self

    def on_headers_complete(self) -> None:
        self._head_complete = True
        self._stop_timer()
        super().on_headers_complete()
        self.cycle.transport = cast(asyncio.Transport, HeadWithBody(self))

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_bytes = 0

    def authenticated(self) -> None:
        """The application knows who this is."""
        self._connections.strangers.pop(self, None)

    def end(self) -> None:
        """Close. A body that is still coming is taken in for a while: else its sender may lose the answer."""
        if self.cycle.more_body and self.transport.can_write_eof():
            self._ended = True
            self.flow.resume_reading()
            self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        else:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class HeadWithBody:
    """Holds the head of an answer until its body comes, which is at once: one packet, and the client wakes once.

    uvicorn writes them one after the other.
    """

    def __init__(self, connection: BoundedHttp) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._held = b""
        self.is_closing = connection.transport.is_closing

    def write(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
            self._transport.write(data)
        else:
            self._held = data
            self._connection.loop.call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self._connection.end()

    def _flush(self) -> None:
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)


class BoundedServer(uvicorn.Server):
    """uvicorn's server on one port, with the limits of `BoundedHttp` and on the TLS handshake."""

    def __init__(self, config: uvicorn.Config, server: ServerConfig, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._server = server
        self._on_start = on_start

    async def startup(self, sockets: Any = None) -> None:  # noqa: ARG002 - uvicorn's signature
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(START_FAILED)
        connections = Connections.within(self._server)
        loop = asyncio.get_running_loop()

        def protocol() -> BoundedHttp:
            state, app_state = self.server_state, self.lifespan.state
            return BoundedHttp(self._server, connections, config=self.config, server_state=state, app_state=app_state)

        try:
            listening = await loop.create_server(
                protocol,
                self._server.host,
                self._server.port,
                ssl=self.config.ssl,
                ssl_handshake_timeout=self._server.head_timeout_seconds if self.config.ssl else None,
                backlog=2048,
            )
        except OSError as error:
            sys.stderr.write(f"cannot listen on {self._server.host}:{self._server.port}: {error.strerror}\n")
            await self.lifespan.shutdown()
            sys.exit(START_FAILED)
        self.servers = [listening]
        self.started = True
        self._on_start()
