"""`StorageClient`: every operation of the Storage Service on any table."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from storage_client import _json, errors
from storage_client._exchange import Exchange
from storage_client._http import HttpTransport
from storage_client._rows import AnyRow, Page, Reader, Row
from storage_client._tables import Table
from storage_client.transport import Transport

_ROWS = Reader(Row)


class StorageClient:
    """Talks to one Storage Service with one service's token.

    Every request is repeated while the service is away or answers 503, for at most `retry_seconds`; one attempt takes
    at most `timeout_seconds`. Writes carry an idempotency key that stays the same over repetitions: they happen once.

    ca_file: the CA of the service's certificate, where it is not one of the system's.
    retry_fenced: repeat a write while its table is closed by the runbook; else NotWritten is raised at once.
    allow_plaintext: send the token over http:// to another machine than this one.
    request_id: gives the id of the request that is being served, which the Storage Service's log then names too.
    transport: replaces the network.
    """

    def __init__(  # noqa: PLR0913 - options by keyword
        self,
        url: str,
        token: str,
        *,
        timeout_seconds: float = 10,
        retry_seconds: float = 5,
        retry_fenced: bool = True,
        ca_file: str | Path | None = None,
        allow_plaintext: bool = False,
        request_id: Callable[[], str | None] | None = None,
        transport: Transport | None = None,
    ) -> None:
        if not re.fullmatch("[!-~]+", token):
            raise ValueError("a token is one line of visible ASCII characters")
        self._exchange = Exchange(
            transport or HttpTransport(url, ca_file, allow_plaintext=allow_plaintext),
            {"Authorization": f"Bearer {token}"},
            timeout_seconds,
            retry_seconds,
            request_id,
            retry_fenced,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._exchange.transport.aclose()

    def table(self, database: str, table: str, reader: Reader[AnyRow]) -> Table[AnyRow]:
        """The operations on one table, its rows read by `reader`, a `Reader`; the typed clients are made of these."""
        return Table(self._exchange, database, table, reader)

    async def get(self, database: str, table: str, id: UUID) -> Row | None:
        """The row with this id, None when there is none or it is deleted."""
        return await self.table(database, table, _ROWS).get(id)

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
        """One page of the rows that equal `filters` (None: IS NULL); order_by as names, "-name" descending.

        A page may be shorter than `limit` where rows are large; `next_cursor` says whether there are more.
        """
        return await self.table(database, table, _ROWS).read(filters, order_by, limit, cursor)

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
        async for rows in self.table(database, table, _ROWS).pages(filters, order_by, page_size):
            for row in rows:
                yield row

    async def read_many(self, database: str, table: str, ids: Iterable[UUID]) -> list[Row]:
        """The rows with these ids that are not deleted, in the order of their ids; a request per 1,000."""
        return await self.table(database, table, _ROWS).get_many(ids)

    async def write(
        self, database: str, table: str, values: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Row:
        """Create a row and return it; without an `id` it gets a random one. Raises Conflict when its id exists."""
        return await self.table(database, table, _ROWS).create(values, idempotency_key)

    async def write_many(
        self, database: str, table: str, rows: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Row]:
        """Create up to 1,000 rows that name the same columns, in one transaction: all or none. Raises Conflict."""
        return await self.table(database, table, _ROWS).create_many(rows, idempotency_key)

    async def update(  # noqa: PLR0913 - options by keyword
        self,
        database: str,
        table: str,
        id: UUID,
        changes: Mapping[str, Any],
        *,
        if_version: str | None = None,
        idempotency_key: str | None = None,
    ) -> Row:
        """Change the named columns of a row and return it. Raises NotFound, VersionMismatch."""
        at = self.table(database, table, _ROWS)
        return await at.update(id, changes, if_version=if_version, key=idempotency_key)

    async def delete(
        self,
        database: str,
        table: str,
        id: UUID,
        *,
        if_version: str | None = None,
        idempotency_key: str | None = None,
    ) -> Row:
        """Mark a row as deleted and return it. Raises NotFound, VersionMismatch."""
        return await self.table(database, table, _ROWS).delete(id, if_version=if_version, key=idempotency_key)

    async def health(self) -> dict[str, Any]:
        """The Storage Service's health; {"ok": False, …} when it cannot be asked. Does not raise, does not retry."""
        try:
            response = await self._exchange.once("GET", "/health", b"", {})
            answer = _json.loads(response.body)
        except errors.StorageError as error:
            return {"ok": False, "error": str(error)}
        except ValueError:
            answer = None
        return answer if isinstance(answer, dict) else {"ok": False, "error": "unexpected answer"}
