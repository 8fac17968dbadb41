"""What a connection may do before it has sent a request, and around it: little, and not for long.

uvicorn waits for ever for the head of a request and for who does not read the answer, takes heads of any size, any
number of requests ahead of their answers, and as many connections as there are files.
"""

import asyncio
import json
import resource
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service_common import handover
from service_common.config import ServerConfig
from service_common.problem import MEDIA_TYPE, Problem

LINGER_SECONDS = 1
MAX_AHEAD = 32
"""Requests that a connection may send before the one that is being answered has been: each keeps 2 kB."""
RESERVED_FILES = 128
"""Of the process's limit: log, configuration, connections to the database."""


class Connection(Protocol):
    """What is counted: a connection, or a TLS handshake on its way to one."""

    def abort(self) -> None:
        """Close it at once."""


@dataclass
class Connections:
    """The connections of one server. Above the limit, who has not authenticated goes first, the oldest of them."""

    limit: int
    store: handover.Store | None = None
    open: int = 0
    strangers: dict[Connection, None] = field(default_factory=dict)

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

    def add(self, connection: Connection) -> None:
        self.open += 1
        self.strangers[connection] = None
        if self.open > self.limit:
            next(iter(self.strangers)).abort()

    def remove(self, connection: Connection) -> None:
        self.open -= 1
        self.strangers.pop(connection, None)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with limits on the head of a request, on requests sent ahead and on answers not read."""

    def __init__(self, limits: ServerConfig, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits
        self._connections = connections
        self._head_bytes = 0
        self._head_complete = False
        self.ended = False
        """Nothing more is answered, and what still comes is dropped."""
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._keep_alive = False
        self._unanswered: bytearray | None = None
        """What the next process would have to read again; None: it cannot go on with this connection."""
        self._within_request = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._head_with_body = HeadWithBody(self)
        self._head_timer = self.loop.call_later(self._limits.head_timeout_seconds, self.abort)
        self._connections.add(self)
        if self._connections.store is not None and self.scheme == "http":  # TLS is in this process's memory
            self._unanswered = bytearray()
        if handover.ending.is_set():  # accepted just before
            self.loop.call_soon(self.shutdown)

    def abort(self) -> None:
        self.transport.abort()

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
        self._stop_waiting_for_reader()
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return
        self._head_bytes += len(data)
        if self._unanswered is not None:
            self._unanswered += data
        super().data_received(data)
        if self._head_complete or self.ended or self.transport.is_closing():
            return
        if self._head_bytes > self._limits.header_limit_bytes:
            self.send_400_response("The head of the request is too large.")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.head_timeout_seconds, self.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(self._limits.request_timeout_seconds, self.abort)

    def resume_writing(self) -> None:
        self._stop_waiting_for_reader()
        super().resume_writing()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_AHEAD:
            self.abort()
            raise ValueError("too many requests ahead of their answers")  # ends the parsing of what is read already
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
        self.cycle.transport = cast(asyncio.Transport, self._head_with_body)
        # Answered before its body has come, a request ends the connection: what would come need not be taken in.
        self._keep_alive, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_bytes = 0
        self.cycle.keep_alive = self._keep_alive

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # uvicorn's own ends with a callback, for which the loop takes another turn.
        self.tasks.add(self.loop.create_task(self._run(cycle, app)))

    async def _run(self, cycle: RequestResponseCycle, app: Any) -> None:
        try:
            await cycle.run_asgi(app)
        finally:
            self.tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

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
            self._keep_alive = self._keep_alive and self._unanswered is not None
            self.cycle.keep_alive = self.cycle.keep_alive and self._keep_alive
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
        if cycle.disconnected or cycle.response_started or self.pipeline or self.flow.write_paused or self.ended:
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
        if self.cycle.more_body:
            self._linger()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """For what is no HTTP, or too much of it."""
        if self.transport.is_closing():
            return
        body = json.dumps(Problem(400, "bad-request", msg).document()).encode()
        head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[400] + head.encode() + body)
        self._linger()

    def _linger(self) -> None:
        self.ended = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.abort)

    def _stop_waiting_for_reader(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

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
        if self._connection.ended:
            return
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
