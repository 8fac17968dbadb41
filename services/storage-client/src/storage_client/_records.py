"""Typed access to one table; the typed clients are made of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID, uuid4

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from storage_client._client import StorageClient
from storage_client.errors import UnexpectedAnswer

MAX_PAGE = 1000
_INFINITIES = {
    "infinity": datetime.max.replace(tzinfo=UTC),
    "-infinity": datetime.min.replace(tzinfo=UTC),
}


def _finite(value: Any) -> Any:
    return _INFINITIES.get(value, value) if isinstance(value, str) else value


Timestamp = Annotated[datetime, BeforeValidator(_finite)]
"""With its offset; PostgreSQL's ±infinity are Python's greatest and least datetime."""


class Record(BaseModel):
    """What every record has."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    created_at: Timestamp
    updated_at: Timestamp
    is_deleted: bool
    deleted_at: Timestamp | None


AnyRecord = TypeVar("AnyRecord", bound=Record)


@dataclass(frozen=True)
class Records(Generic[AnyRecord]):
    """The records of one table that are not deleted."""

    storage: StorageClient
    database: str
    table: str
    kind: type[AnyRecord]

    async def get(self, id: UUID) -> AnyRecord | None:
        page = await self.storage.read(self.database, self.table, {"id": id, "is_deleted": False}, limit=1)
        return self._record(page.rows[0]) if page.rows else None

    async def list(
        self, filters: Mapping[str, Any] | None, order_by: Sequence[str], limit: int | None
    ) -> list[AnyRecord]:
        found: list[AnyRecord] = []
        if limit is not None and limit < 1:
            return found
        live = {**(filters or {}), "is_deleted": False}
        rows = self.storage.read_all(
            self.database, self.table, live, order_by=order_by, page_size=min(limit or MAX_PAGE, MAX_PAGE)
        )
        async for row in rows:
            found.append(self._record(row))
            if len(found) == limit:
                break
        return found

    async def create(self, values: Mapping[str, Any]) -> AnyRecord:
        return self._record(await self.storage.write(self.database, self.table, {"id": uuid4(), **values}))

    async def update(self, id: UUID, changes: Mapping[str, Any]) -> AnyRecord:
        return self._record(await self.storage.update(self.database, self.table, id, changes))

    async def delete(self, id: UUID) -> AnyRecord:
        return self._record(await self.storage.delete(self.database, self.table, id))

    def _record(self, row: Mapping[str, Any]) -> AnyRecord:
        try:
            return self.kind.model_validate(row)
        except ValidationError as error:
            names = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}))
            raise UnexpectedAnswer(f"a row of {self.table} does not fit this client in: {names}") from None
