"""Runs the statements: a page of rows, a write, a write that is done once however often it is sent."""

import asyncio
import hashlib
import hmac
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from service_common.problem import Problem
from sqlalchemy import CTE, Executable, delete, func
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from storage_service.databases.storage_service.models import IdempotencyKey
from storage_service.db import statements
from storage_service.db.schemas import Query, TableSchemas

log = logging.getLogger(__name__)
PURGE_EVERY_SECONDS = 3600


@dataclass(frozen=True)
class RequestKey:
    """What makes two requests the same one."""

    service: str
    key: str
    request_sha256: bytes

    @classmethod
    def of(cls, service: str, key: str, method: str, path: str, body: bytes) -> "RequestKey":
        """The key of a request; its digest covers method, path and body."""
        head = f"{method} {path}\n".encode()
        return cls(service, key, hashlib.sha256(head + body).digest())


@dataclass(frozen=True)
class Store:
    """The served tables of the Storage database."""

    engine: AsyncEngine

    async def read(self, schemas: TableSchemas, query: Query) -> str:
        """One page as JSON text: {"rows": […], "next_cursor": text or null}."""
        found = await self._all(statements.page(schemas.table, query))
        rows = ",".join(row[0] for row in found[: query.limit])
        more = len(found) > query.limit
        cursor = f'"{statements.encode_cursor(query, found[query.limit - 1][1:])}"' if more else "null"
        return f'{{"rows":[{rows}],"next_cursor":{cursor}}}'

    async def write(self, write: CTE, request: RequestKey | None) -> str:
        """The written row as JSON text. Raises Problem 404 when there is no such row.

        With a key: a repeated request gets the first one's result. It is looked up only when the write itself is
        refused, because a write that happened before always refuses to happen again under its key.
        """
        if request is None:
            return _found(await self._all(statements.perform(write)))
        once = statements.perform_once(write, request.service, request.key, request.request_sha256)
        try:
            return _found(await self._all(once))
        except (SQLAlchemyError, OSError, Problem):
            if (result := await self._recall(request)) is not None:
                return result
            raise

    async def _recall(self, request: RequestKey) -> str | None:
        known = await self._all(statements.recall(request.service, request.key))
        if not known:
            return None
        [(request_sha256, result)] = known
        if not hmac.compare_digest(request_sha256, request.request_sha256):
            detail = "This Idempotency-Key was used for another request. Use a new key for every new write."
            raise Problem(422, "idempotency-key-reused", detail)
        return str(result)

    async def purge(self, older_than: timedelta) -> None:
        """Forget old idempotency keys, now and every hour, until cancelled."""
        while True:
            try:
                async with self.engine.connect() as connection:
                    limit = func.now() - older_than
                    await connection.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < limit))
            except (SQLAlchemyError, OSError) as error:
                log.warning("old idempotency keys were not removed", extra={"fields": {"error": type(error).__name__}})
            await asyncio.sleep(PURGE_EVERY_SECONDS)

    async def _all(self, statement: Executable) -> list[Any]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(statement)).all())


def _found(rows: list[Any]) -> str:
    if not rows:
        raise Problem(404, "not-found", "There is no such record, or it is deleted.")
    return str(rows[0][0])
