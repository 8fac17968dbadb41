"""Requests and their repetitions: what is tried again, how long, and what is known in the end."""

import asyncio
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID, uuid4

from storage_client import _json, errors
from storage_client._answers import answered
from storage_client.transport import NoAnswer, Request, Response, Transport

_KEY = re.compile(r"[!-~]{1,255}")
_VERSION = re.compile(r"[!#-~]{1,64}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
Error = TypeVar("Error", bound=errors.StorageError)


@dataclass(frozen=True)
class Write:
    """A request that writes."""

    method: str
    path: str
    values: Mapping[str, Any] | None
    ids: Sequence[UUID | None]
    """Of the records that it is about; None: no UUID."""
    idempotency_key: str | None
    """None: a new one."""
    if_version: str | None = None

    def in_error(self, error: Error, key: str) -> Error:
        """The error, with all that it takes to repeat this write."""
        error.ids = [id for id in self.ids if id is not None]
        error.id = self.ids[0] if len(self.ids) == 1 else None
        error.idempotency_key = key
        return error


@dataclass(frozen=True)
class Exchange:
    """Sends requests with one service's token, again and again while that may help."""

    transport: Transport
    headers: Mapping[str, str]
    timeout_seconds: float
    retry_seconds: float
    request_id: Callable[[], str | None] | None
    retry_fenced: bool = True

    async def write(self, write: Write) -> tuple[Response, str]:
        """The answer, and the key of the write. Every error carries the ids and the key."""
        key = uuid4().hex if write.idempotency_key is None else write.idempotency_key
        if not _KEY.fullmatch(key):
            raise errors.InvalidRequest("an idempotency key is 1 to 255 visible ASCII characters")
        headers = {"Idempotency-Key": key}
        if write.if_version is not None:
            if not _VERSION.fullmatch(write.if_version):
                raise errors.InvalidRequest("a version is what a record or row has as .version")
            headers["If-Match"] = f'"{write.if_version}"'
        try:
            # Under a key of the caller's, an earlier call may have written.
            in_doubt = write.idempotency_key is not None
            return await self.send(write.method, write.path, write.values, headers, in_doubt=in_doubt), key
        except errors.UnexpectedAnswer as error:
            # Whatever answered that, the write may have happened.
            raise write.in_error(errors.Unavailable(str(error), status=error.status), key) from error
        except errors.StorageError as error:
            raise write.in_error(error, key)  # noqa: B904 - the same one

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        in_doubt: bool = False,
    ) -> Response:
        """An answer of success. in_doubt: an earlier attempt may have written."""
        try:
            content = b"" if body is None else _json.dumps(body)
        except (TypeError, ValueError) as error:
            raise errors.InvalidRequest(f"{method} {path}: a value cannot be sent as JSON: {error}") from error
        fields = {**self.headers, **headers} if headers else self.headers
        begun, attempt = time.monotonic(), 0
        lost = False
        while True:
            try:
                return await self.once(method, path, content, fields)
            except (errors.Unauthorized, errors.Forbidden, errors.InvalidRequest) as error:
                if headers and lost and error.status in {401, 403, 404}:
                    # Refused at the door; an attempt before this one may have come through.
                    raise errors.Unavailable(str(error), status=error.status) from error
                raise
            except errors.Unavailable as error:
                cause, wait = error.__cause__, _wait_seconds(error, attempt)
                told: errors.Unavailable = error
                if isinstance(cause, NoAnswer):
                    lost = lost or cause.sent
                    in_doubt = in_doubt or lost
                    wait = 0 if cause.stale and attempt == 0 else wait
                elif not isinstance(error, errors.NotWritten):
                    in_doubt = lost = True
                elif not in_doubt and error.problem == "fenced" and not self.retry_fenced:
                    raise
                elif in_doubt:
                    # An earlier attempt may be on its way still, and find the table open again.
                    told = errors.Unavailable(
                        str(error), status=error.status, retry_after_seconds=error.retry_after_seconds
                    )
                if time.monotonic() - begun + wait > self.retry_seconds:
                    raise told from cause
            attempt += 1
            await asyncio.sleep(wait)

    async def once(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Response:
        """One attempt."""
        request_id = self.request_id() if self.request_id is not None else None
        if request_id and _REQUEST_ID.fullmatch(request_id):
            headers = {**headers, "X-Request-Id": request_id}
        try:
            response = await self.transport.send(Request(method, path, headers, content), self.timeout_seconds)
        except NoAnswer as error:
            raise errors.Unavailable(f"{method} {path}: no answer from the Storage Service ({error})") from error
        if 200 <= response.status < 300:
            return response
        raise answered(response, f"{method} {path}")


def _wait_seconds(error: errors.Unavailable, attempt: int) -> float:
    """Spread, so that callers who were refused together do not come back together."""
    if error.retry_after_seconds:
        return error.retry_after_seconds * min(1.3 ** min(attempt, 9), 2.0) * random.uniform(1, 1.5)  # noqa: S311 - no secret
    return random.uniform(0.5, 1.5) * min(0.05 * 2.0 ** min(attempt, 9), 1.0)  # noqa: S311 - as above
