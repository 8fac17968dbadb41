"""Every operation on one table, its rows read as one kind."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from storage_client import errors
from storage_client._exchange import Exchange, Write
from storage_client._rows import AnyRow, Page, Reader
from storage_client.transport import Response

MAX_PAGE = 1000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Values = Mapping[str, Any]
Result = TypeVar("Result")


class Table(Generic[AnyRow]):
    """One table at the Storage Service."""

    def __init__(self, exchange: Exchange, database: str, table: str, reader: Reader[AnyRow]) -> None:
        for name in (database, table):
            if not _NAME.fullmatch(name):
                raise errors.InvalidRequest(f"{name[:80]!r} is not the name of a database or table")
        self._exchange = exchange
        self._path = f"/v1/databases/{database}/{table}"
        self._reader = reader

    async def get(self, id: UUID) -> AnyRow | None:
        """The row with this id, None when there is none or it is deleted."""
        try:
            response = await self._exchange.send("GET", f"{self._path}/{_uuid(id)}")
        except errors.NotFound:
            return None
        return self._reader.row(response.body, _version(response))

    async def read(self, filters: Values | None, order_by: Sequence[str], limit: int, cursor: str | None) -> Page:
        """One page of the rows that equal the filters."""
        query: dict[str, Any] = {"filters": filters or {}, "order_by": list(order_by), "limit": limit}
        if cursor is not None:
            query["cursor"] = cursor
        response = await self._exchange.send("POST", f"{self._path}/query", query)
        return self._reader.page(response.body)

    async def pages(
        self, filters: Values | None, order_by: Sequence[str], page_size: int
    ) -> AsyncIterator[Sequence[AnyRow]]:
        """All rows that equal the filters, a page at a time."""
        cursor = None
        while True:
            page = await self.read(filters, order_by, page_size, cursor)
            yield page.rows
            if (cursor := page.next_cursor) is None:
                return

    async def live(self, filters: Values | None, order_by: Sequence[str], limit: int | None) -> list[AnyRow]:
        """Rows that equal the filters and are not deleted, at most `limit`."""
        found: list[AnyRow] = []
        if limit is not None and limit < 1:
            return found
        pages = self.pages({**(filters or {}), "is_deleted": False}, order_by, min(limit or MAX_PAGE, MAX_PAGE))
        async for rows in pages:
            found += rows
            if limit is not None and len(found) >= limit:
                break
        return found[:limit]

    async def get_many(self, ids: Iterable[UUID]) -> list[AnyRow]:
        """The rows with these ids that are not deleted, in the order of their ids."""
        left = sorted({_uuid(id) for id in ids})
        found: list[AnyRow] = []
        while left:
            response = await self._exchange.send("POST", f"{self._path}/read", {"ids": left[:MAX_PAGE]})
            page = self._reader.page(response.body)
            found += page.rows
            # A page bounded in bytes ends early, and says with which id.
            last = page.next_cursor or left[:MAX_PAGE][-1]
            left = [id for id in left if id > last]
        return found

    async def create(self, values: Values, key: str | None = None) -> AnyRow:
        """Create a row; without an id it gets a random one."""
        values = _with_id(values)
        return await self._write(Write("POST", self._path, values, [_known(values["id"])], key), self._row)

    async def create_many(self, rows: Sequence[Values], key: str | None = None) -> list[AnyRow]:
        """Create rows in one transaction. They come back in their order."""
        values = [_with_id(row) for row in rows]
        ids = [_known(row["id"]) for row in values]
        write = Write("POST", f"{self._path}/batch", {"rows": values}, ids, key)
        return await self._write(write, lambda response, key: self._reader.page(response.body, key).rows)

    async def update(
        self, id: UUID, changes: Values, *, if_version: str | None = None, key: str | None = None
    ) -> AnyRow:
        """Change the named columns of a row that is not deleted."""
        write = Write("PATCH", f"{self._path}/{_uuid(id)}", _in_order(changes), [_known(id)], key, if_version)
        return await self._write(write, self._row)

    async def delete(self, id: UUID, *, if_version: str | None = None, key: str | None = None) -> AnyRow:
        """Mark a row as deleted."""
        write = Write("DELETE", f"{self._path}/{_uuid(id)}", None, [_known(id)], key, if_version)
        return await self._write(write, self._row)

    def _row(self, response: Response, key: str) -> AnyRow:
        return self._reader.row(response.body, _version(response), key)

    async def _write(self, write: Write, read: Callable[[Response, str], Result]) -> Result:
        response, key = await self._exchange.write(write)
        try:
            return read(response, key)
        except errors.UnexpectedAnswer as error:
            # It was answered with success: by whom is the question.
            raise write.in_error(errors.Unavailable(str(error), status=response.status), key) from error


def _with_id(values: Values) -> Values:
    id = values["id"] if "id" in values else uuid4()
    return {"id": _known(id) or id, **_in_order({name: value for name, value in values.items() if name != "id"})}


def _in_order(values: Values) -> Values:
    """By name: who repeats a write may name its values in another order, and it is to be the same request."""
    return dict(sorted(values.items(), key=_name))


def _name(item: tuple[Any, Any]) -> str:
    return str(item[0])


def _uuid(id: Any) -> str:
    """As it stands in a path: nothing but a UUID leads to a record."""
    if (found := _known(id)) is None:
        raise errors.InvalidRequest("the id of a record is a UUID")
    return str(found)


def _known(id: Any) -> UUID | None:
    if isinstance(id, UUID):
        return id
    try:
        return UUID(str(id))
    except ValueError:
        return None


def _version(response: Response) -> str | None:
    etag = response.headers.get("etag")
    return etag.strip('"') if etag else None
