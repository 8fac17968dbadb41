"""`StorageClient`: every operation of the Storage Service on any table."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay, wait_random_exponential

from storage_client import _json, errors

Row = dict[str, Any]
"""A row: UUIDs and timestamps as text, fractions as Decimal."""

_BACKOFF = wait_random_exponential(multiplier=0.05, max=1)
_NOTHING_WRITTEN = {"fenced", "locked", "conflict", "overloaded"}
"""The problems of a 503 that promise it. "timeout" is none of them: the write may still happen."""
_BY_STATUS: dict[int, type[errors.StorageError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.InvalidRequest,
    409: errors.Conflict,
    413: errors.InvalidRequest,
    422: errors.InvalidRequest,
}


@dataclass(frozen=True)
class Page:
    """Some rows, and where the next ones begin (None: these were the last)."""

    rows: list[Row]
    next_cursor: str | None


class StorageClient:
    """Talks to one Storage Service with one service's token.

    Every request is repeated while the service is away or answers 503, for at most `retry_seconds`. Writes carry an
    idempotency key that stays the same over repetitions, so they happen once. `transport` replaces the network.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_seconds: float = 10,
        retry_seconds: float = 5,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_seconds,
            transport=transport,
            trust_env=False,
        )
        self._retry_seconds = retry_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def read(  # noqa: PLR0913 - the options of a read, by keyword
        self,
        database: str,
        table: str,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = (),
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """One page of the rows that equal `filters` (None: IS NULL); order_by as names, "-name" descending."""
        query = {"filters": dict(filters or {}), "order_by": list(order_by), "limit": limit, "cursor": cursor}
        answer = await self._send("POST", _path(database, table, "query"), query)
        try:
            return Page(answer["rows"], answer["next_cursor"])
        except (TypeError, KeyError) as error:
            raise errors.UnexpectedAnswer("the Storage Service's answer is not a page") from error

    async def read_all(
        self,
        database: str,
        table: str,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = (),
        page_size: int = 500,
    ) -> AsyncIterator[Row]:
        """All rows that equal `filters`, read page by page."""
        cursor = None
        while True:
            page = await self.read(database, table, filters, order_by=order_by, limit=page_size, cursor=cursor)
            for row in page.rows:
                yield row
            if (cursor := page.next_cursor) is None:
                return

    async def write(
        self, database: str, table: str, values: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Row:
        """Create a row and return it. Raises Conflict when its id exists."""
        return await self._write("POST", _path(database, table), values, idempotency_key)

    async def update(
        self, database: str, table: str, id: UUID, changes: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Row:
        """Change the named columns of a row and return it. Raises NotFound."""
        return await self._write("PATCH", _path(database, table, str(id)), changes, idempotency_key)

    async def delete(self, database: str, table: str, id: UUID, *, idempotency_key: str | None = None) -> Row:
        """Mark a row as deleted and return it. Raises NotFound."""
        return await self._write("DELETE", _path(database, table, str(id)), None, idempotency_key)

    async def health(self) -> dict[str, Any]:
        """The Storage Service's health; {"ok": False, …} when it cannot be asked. Does not raise, does not retry."""
        try:
            answer = await self._once("GET", "/health", None, {})
        except errors.StorageError as error:
            return {"ok": False, "error": str(error)}
        return answer if isinstance(answer, dict) else {"ok": False, "error": "unexpected answer"}

    async def _write(self, method: str, path: str, values: Mapping[str, Any] | None, key: str | None) -> Row:
        key = key or uuid4().hex
        try:
            row = await self._send(method, path, values, {"Idempotency-Key": key})
        except errors.Unavailable as error:
            error.idempotency_key = key
            raise
        if not isinstance(row, dict):
            raise errors.UnexpectedAnswer("the Storage Service's answer is not a row")
        return row

    async def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        in_doubt = False

        async def attempt() -> Any:
            nonlocal in_doubt
            try:
                return await self._once(method, path, body, headers or {})
            except errors.NotWritten as error:
                if not in_doubt:
                    raise
                # An earlier attempt may be on its way still, and find the table open again.
                seconds = error.retry_after_seconds
                raise errors.Unavailable(str(error), status=error.status, retry_after_seconds=seconds) from error
            except errors.Unavailable:
                in_doubt = True
                raise

        attempts = AsyncRetrying(
            retry=retry_if_exception_type(errors.Unavailable),
            stop=stop_before_delay(self._retry_seconds),
            wait=_wait,
            reraise=True,
        )
        return await attempts(attempt)

    async def _once(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        try:
            content = None if body is None else _json.dumps(body)
        except (TypeError, ValueError) as error:
            raise errors.InvalidRequest(f"{method} {path}: a value cannot be sent as JSON: {error}") from error
        json_headers = {"Content-Type": "application/json", **headers} if content else headers
        try:
            response = await self._http.request(method, path, content=content, headers=json_headers)
        except httpx.TransportError as error:
            reason = type(error).__name__
            raise errors.Unavailable(f"{method} {path}: no answer from the Storage Service ({reason})") from error
        return _answer(response, f"{method} {path}")


def _path(database: str, table: str, *rest: str) -> str:
    return "/".join(["/databases", database, table, *rest])


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, errors.Unavailable) else 0
    return max(asked, _BACKOFF(state))


def _answer(response: httpx.Response, request: str) -> Any:
    try:
        content = _json.loads(response.content)
    except ValueError:
        content = None
    if response.is_success and content is not None:
        return content
    detail = content.get("detail", "") if isinstance(content, dict) else ""
    message = f"{request}: {response.status_code} {detail}".rstrip()
    if response.status_code in {429, 502, 503, 504}:
        raise _unavailable(response, content, message)
    kind = _BY_STATUS.get(response.status_code, errors.UnexpectedAnswer)
    raise kind(
        message, status=response.status_code, errors=content.get("errors") if isinstance(content, dict) else None
    )


def _unavailable(response: httpx.Response, content: Any, message: str) -> errors.Unavailable:
    seconds = _retry_after(response)
    name = str(content.get("type")).removeprefix("urn:problem:") if isinstance(content, dict) else ""
    if response.status_code == 503 and name in _NOTHING_WRITTEN:
        return errors.NotWritten(message, problem=name, status=503, retry_after_seconds=seconds)
    return errors.Unavailable(message, status=response.status_code, retry_after_seconds=seconds)


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0
