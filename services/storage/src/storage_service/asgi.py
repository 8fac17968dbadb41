"""One ASGI layer around every request: who it is, how much and how long, what is answered, counted and logged."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import msgspec
from service_common.middleware import request_id_of
from service_common.problem import MEDIA_TYPE, Problem, bounded, unavailable, unexpected_error
from starlette.types import Receive, Scope, Send

from storage_service.auth import Callers
from storage_service.config import Settings
from storage_service.metrics import Metrics
from storage_service.operations import Request, TableOperations
from storage_service.public import PublicPages
from storage_service.request_log import RequestLog

_JSON = b"application/json"


@dataclass(slots=True)
class _Seen:
    """What is counted and logged of a request."""

    method: str
    path: str
    request_id: str
    begun: float
    route: str = "none"
    caller: str | None = None
    status: int = 500


class _Deadline:
    """Raises TimeoutError where its block has not ended in time: asyncio.timeout, at a fifth of its cost."""

    __slots__ = ("_cancelling", "_expired", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - narrows the type; a coroutine runs in a task
        self._task, self._cancelling = task, task.cancelling()
        self._timer = loop.call_later(self._seconds, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()


@dataclass(frozen=True)
class Application:
    """The Storage Service for one configuration."""

    settings: Settings
    callers: Callers
    tables: Mapping[tuple[str, str], TableOperations]
    """By database and table."""
    public: PublicPages
    metrics: Metrics
    log: RequestLog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        seen = _Seen(
            scope["method"],
            scope["path"],
            request_id_of(headers.get(b"x-request-id", b"")),
            time.perf_counter(),
        )
        limit = self.settings.server.request_timeout_seconds
        try:
            try:
                with _Deadline(limit):
                    status, fields, body = await self._answer(scope, headers, receive, seen)
            except Problem as problem:
                status, fields, body = _refusal(problem)
            except TimeoutError:
                late = f"The request took longer than {limit:g} s. A write may have happened: "
                late += "send it again with the same Idempotency-Key."
                status, fields, body = _refusal(unavailable("timeout", late))
                fields.append((b"connection", b"close"))
            except Exception as error:  # noqa: BLE001 - a fault of ours: logged by place, told without its text
                status, fields, body = _refusal(unexpected_error(error, seen.method, seen.path))
            seen.status = status
            fields.append((b"content-length", b"%d" % len(body)))
            fields.append((b"x-request-id", seen.request_id.encode()))
            connection = scope["state"].get("connection")
            if connection is None or not connection.answer(status, fields, body):
                await send({"type": "http.response.start", "status": status, "headers": fields})
                await send({"type": "http.response.body", "body": body})
        finally:
            seconds = time.perf_counter() - seen.begun
            self.metrics.count(seen.method, seen.route, seen.status, seconds)
            self.log.add(seen.method, bounded(seen.path), seen.status, seconds, seen.caller, seen.request_id)

    async def _answer(
        self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, seen: _Seen
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if page := self.public.page(seen.path):
            seen.route = seen.path
            if seen.method not in {"GET", "HEAD"}:
                raise _method_not_allowed(seen, "GET")
            status, media_type, body = await page()
            return status, [(b"content-type", media_type)], body
        # Before anything else is looked at: strangers learn nothing, and cost little.
        caller = self.callers.authenticate(headers.get(b"authorization", b""))
        seen.caller = caller.name
        if (connection := scope["state"].get("connection")) is not None:
            connection.authenticated()
        # /databases/… is /v1/databases/… as it was called before the API had a version.
        path = seen.path.removeprefix("/v1") if seen.path.startswith("/v1/") else seen.path
        parts = path.split("/")
        if len(parts) not in {4, 5} or parts[1] != "databases" or (parts[2], parts[3]) not in self.tables:
            raise _no_such_path(seen)
        if caller.database != parts[2]:
            raise Problem(403, "forbidden", f"{caller.name} may not use database {bounded(parts[2])}.")
        last = parts[4] if len(parts) == 5 else None
        route = self.tables[parts[2], parts[3]].route(seen.method, last)
        if route is None:
            raise _method_not_allowed(
                seen, "POST" if last in {None, "query", "read", "batch"} else "GET, PATCH, DELETE"
            )
        seen.route = f"/v1/databases/{parts[2]}/{parts[3]}{route[0]}"
        body = await self._body(headers, receive)
        answer = await route[1](Request(caller, seen.method, path, headers, body))
        fields = [(b"content-type", _JSON)]
        if answer.version is not None:
            fields.append((b"etag", b'"%s"' % answer.version.encode()))
        return answer.status, fields, answer.body

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return b""
        limit = self.settings.server.body_limit_bytes
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            raise _too_large(limit)
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem(400, "incomplete", "The body ended before its end.")
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                raise _too_large(limit)
        return body


def _refusal(problem: Problem) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    fields = [(b"content-type", MEDIA_TYPE.encode())]
    fields += [(name.lower().encode(), value.encode()) for name, value in (problem.headers or {}).items()]
    if problem.status_code in {401, 413}:
        # What is left of the body is not read.
        fields.append((b"connection", b"close"))
    return problem.status_code, fields, msgspec.json.encode(problem.document())


def _too_large(limit: int) -> Problem:
    return Problem(413, "body-too-large", f"The body is larger than this service's limit of {limit} bytes.")


def _no_such_path(seen: _Seen) -> Problem:
    detail = f"{seen.method} {bounded(seen.path, 200)}: Not Found. See /openapi.json for what this service offers."
    return Problem(404, "no-such-path", detail)


def _method_not_allowed(seen: _Seen, allowed: str) -> Problem:
    detail = f"{seen.method} {bounded(seen.path, 200)}: Method Not Allowed. See /openapi.json."
    return Problem(405, "method-not-allowed", detail, headers={"Allow": allowed})


class Service:
    """What uvicorn runs: the application of the newest configuration, its start and its end."""

    def __init__(self, build: Any, settings: Settings) -> None:
        self._build = build
        self._running = build(settings)
        self._retired: set[asyncio.Task[None]] = set()

    def reload(self, settings: Settings) -> None:
        """Serve new requests by new settings; those under way end by the old ones. Raises ConfigError, ValueError."""
        old, self._running = self._running, self._build(settings)
        self._running.start()
        retired = asyncio.get_running_loop().create_task(old.stop(settings.server.request_timeout_seconds))
        self._retired.add(retired)
        retired.add_done_callback(self._retired.discard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._running.application(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            self._running.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._running.stop(0)
            await send({"type": "lifespan.shutdown.complete"})
