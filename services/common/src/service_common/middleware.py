"""Around every request: a size limit, a time limit, and one log line."""

import asyncio
import itertools
import logging
import re
import time
from contextvars import ContextVar
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_common.config import ServerConfig
from service_common.handover import Ending
from service_common.problem import Problem, bounded, unavailable

log = logging.getLogger("request")


current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)
"""Of the request that is being served; passed on to the Storage Service."""


_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PROCESS, _NUMBERS = uuid4().hex[:16], itertools.count()


def request_id_of(header: bytes) -> str:
    """The caller's, or a new one."""
    return header.decode() if header and _REQUEST_ID.fullmatch(header) else f"{_PROCESS}{next(_NUMBERS):08x}"


class RequestLimits:
    """Refuses bodies over the limit (413) and ends requests that take too long (503).

    One that still waits when the process ends goes on to the next process; where it cannot, it is a 503, too.
    FastAPI's own body limit answers in plain text; ours is a problem document like every other error.
    """

    def __init__(self, app: ASGIApp, config: ServerConfig) -> None:
        self.app = app
        self.config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.config.body_limit_bytes
        too_large = Problem(413, "body-too-large", f"The body is larger than this service's limit of {limit} bytes.")
        received, started = 0, False

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise too_large
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self.config.request_timeout_seconds):
                await self.app(scope, limited_receive, watched_send)
        except TimeoutError:
            if started:
                raise
            late = unavailable(
                "timeout",
                f"The request took longer than {self.config.request_timeout_seconds:g} s. A write may have happened: "
                "send it again with the same Idempotency-Key.",
            )
            await late.response()(scope, receive, send)
        except Ending as error:
            connection = scope["state"].get("connection")
            if connection is None or not connection.hand_over():
                restarts = unavailable("fenced", str(error))
                restarts.headers = {**(restarts.headers or {}), "Connection": "close"}
                await restarts.response()(scope, receive, send)


class RequestLog:
    """One line per request: method, path, status (null: left to the next process), duration, and who asked."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun = time.perf_counter()
        request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id", b""))
        current_request_id.set(request_id)
        status: int | None = None

        async def tagged_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, tagged_send)
        except BaseException:
            status = 500
            raise
        finally:
            fields = {
                "method": scope["method"],
                "path": bounded(scope["path"]),
                "status": status,
                "milliseconds": round((time.perf_counter() - begun) * 1000, 2),
                "caller": scope.get("state", {}).get("caller"),
                "request_id": request_id,
            }
            log.info("request", extra={"fields": fields})
