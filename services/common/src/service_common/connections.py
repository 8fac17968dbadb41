"""What a connection may do before it has sent a request: little, and not for long.

uvicorn waits for ever for the head of a request, takes heads of any size and as many connections as there are files.
"""

import asyncio
import resource
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service_common import handover
from service_common.config import ServerConfig

START_FAILED = 3
LINGER_SECONDS = 1
TICK_SECONDS = 0.02
RESERVED_FILES = 128
"""Of the process's limit: log, configuration, connections to the database."""


@dataclass
class Connections:
    """The connections of one server. Above the limit, who has not authenticated goes first, the oldest of them."""

    limit: int
    store: handover.Store | None = None
    open: int = 0
    strangers: dict["BoundedHttp", None] = field(default_factory=dict)

    @classmethod
    def within(cls, config: ServerConfig, store: handover.Store | None) -> "Connections":
        """As many as the configuration says, or as the process may have files open."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = config.max_connections + RESERVED_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            return cls(min(config.max_connections, max(soft - RESERVED_FILES, 1)), store)
        return cls(config.max_connections, store)

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
        self._unanswered: bytearray | None = None
        """What the next process would have to read again; None: it cannot go on with this connection."""
        self._within_request = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self._limits.head_timeout_seconds, transport.abort)
        self._connections.add(self)
        if self._connections.store is not None and self.scheme == "http":  # TLS is in this process's memory
            self._unanswered = bytearray()
        if handover.ending.is_set():  # accepted just before
            self.loop.call_soon(self.shutdown)

    def resume(self, unanswered: bytes) -> None:
        """Go on with a connection of the process before."""
        if self.transport.is_closing():
            return
        if unanswered:
            self.data_received(unanswered)
        else:
            self._stop_timer()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._head_bytes += len(data)
        if self._unanswered is not None:
            self._unanswered += data
        super().data_received(data)
        if self._head_complete or self.transport.is_closing():
            return
        if self._head_bytes > self._limits.header_limit_bytes:
            self.send_400_response("The head of the request is too large.")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.head_timeout_seconds, self.transport.abort)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._within_request:
            self._unanswered = None  # sent before the last one was answered: somewhere among the bytes
        self._within_request = True
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

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._within_request = bool(self.pipeline)
        if self.cycle.more_body or self.pipeline:
            self._unanswered = None
        elif self._unanswered is not None:
            self._unanswered.clear()
        if handover.ending.is_set():
            self.loop.call_soon(self.shutdown)  # once the answer is written

    def shutdown(self) -> None:
        """The server ends: what is under way is answered, then the connection goes on to the next process or ends."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = self.cycle.keep_alive and self._unanswered is not None
        elif not self.transport.is_closing() and not self.hand_over():
            self.transport.close()

    def hand_over(self) -> bool:
        """Leave the connection to the next process, with a request that has not begun; whether that was possible."""
        store, transport = self._connections.store, self.transport
        in_order = not transport.is_closing() and not transport.get_write_buffer_size()
        complete = self.cycle is None or not self.cycle.more_body
        if store is None or self._unanswered is None or not in_order or not complete:
            return False
        self.flow.pause_reading()
        if not store.keep(transport.get_extra_info("socket").fileno(), bytes(self._unanswered)):
            self.flow.resume_reading()
            return False
        if self.cycle is not None:
            self.cycle.disconnected = True
        transport.abort()  # this process's end alone
        return True

    def answer(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """The whole answer in one write, content-length among its fields; False: send it as ASGI messages.

        For what is the usual case by far; uvicorn's way of two messages costs several times as much.
        """
        cycle = self.cycle
        if cycle.disconnected or cycle.response_started or self.pipeline or self.flow.write_paused:
            return False
        if not cycle.keep_alive or cycle.waiting_for_100_continue or cycle.scope["method"] == "HEAD":
            return False
        lines = [STATUS_LINE[status]]
        for name, value in fields:
            if name == b"connection":
                return False
            lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n", body)
        self.transport.write(b"".join(lines))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

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
        self._store: handover.Store | None = None

    async def startup(self, sockets: Any = None) -> None:  # noqa: ARG002 - uvicorn's signature
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(START_FAILED)
        store, inherited = handover.Store.of_this_process(), handover.inherited()
        connections = Connections.within(self._server, store)
        loop = asyncio.get_running_loop()

        def protocol() -> BoundedHttp:
            state, app_state = self.server_state, self.lifespan.state
            return BoundedHttp(self._server, connections, config=self.config, server_state=state, app_state=app_state)

        try:
            listening = await loop.create_server(
                protocol,
                **self._address(inherited.listening),
                ssl=self.config.ssl,
                ssl_handshake_timeout=self._server.head_timeout_seconds if self.config.ssl else None,
                backlog=2048,
            )
        except OSError as error:
            sys.stderr.write(f"cannot listen on {self._server.host}:{self._server.port}: {error.strerror or error}\n")
            await self.lifespan.shutdown()
            sys.exit(START_FAILED)
        self.servers = [listening]
        self._store = store
        if store is not None and inherited.connections:
            store.forget()
        for passed, unanswered in inherited.connections:
            _, connection = await loop.connect_accepted_socket(protocol, passed)
            connection.resume(unanswered)
        self.started = True
        self._on_start()

    def _address(self, passed: socket.socket | None) -> dict[str, Any]:
        """Raises OSError."""
        if passed is None:
            return {"host": self._server.host, "port": self._server.port}
        if (port := passed.getsockname()[1]) != self._server.port:
            raise OSError(f"the socket that was passed in has port {port}: correct the one or the other")
        return {"sock": passed}

    async def shutdown(self, sockets: Any = None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Accept no more, answer what is under way. uvicorn's own takes 0.2 s, in which no one is served."""
        for server in self.servers:
            server.close()
        handover.ending.set()
        for connection in [*self.server_state.connections]:
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await asyncio.sleep(TICK_SECONDS)  # connections that were accepted just before
                while (self.server_state.connections or self.server_state.tasks) and not self.force_exit:
                    await asyncio.sleep(TICK_SECONDS)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        if self._store is not None:
            self._store.settle()
        if not self.force_exit:
            await self.lifespan.shutdown()
