"""The backend before the cutover: SQLAlchemy and asyncpg on the service's own database."""

import json
import math
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import Executable, MetaData, Table, false, func, insert, select, text, true, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from service_common import postgres
from service_common.problem import Problem
from service_common.reference.backend import DirectConfig, Records

Row = dict[str, Any]
Rows = list[Row]


class DirectBackend:
    """The tables of `metadata` in the service's own database.

    order_by: per table, the column that lists are sorted by.
    """

    def __init__(
        self, config: DirectConfig, application_name: str, metadata: MetaData, order_by: Mapping[str, str]
    ) -> None:
        self._engine = postgres.create_engine(
            config, application_name, json_serializer=json.dumps, json_deserializer=_loads
        )
        tables = [_DirectTable(self._engine, metadata.tables[name], column) for name, column in order_by.items()]
        self.records = {
            each.table.name: Records(each.get, each.list, each.create, each.update, each.delete) for each in tables
        }

    def install(self, app: FastAPI) -> None:
        postgres.install(app)

    def is_fenced(self, error: Exception) -> bool:
        return postgres.sqlstate_of(error) == postgres.FENCED  # a statement is a transaction: it wrote nothing

    async def health(self) -> dict[str, Any]:
        try:
            async with self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            return {"ok": False, "backend": "postgresql", "error": type(error).__name__}
        return {"ok": True, "backend": "postgresql"}

    async def aclose(self) -> None:
        await self._engine.dispose()


class _DirectTable:
    def __init__(self, engine: AsyncEngine, table: Table, order_by: str) -> None:
        self.engine = engine
        self.table = table
        self.order_by = table.c[order_by]

    async def get(self, id: UUID) -> Row | None:
        rows = await self._rows(select(self.table).where(self.table.c.id == id, self.table.c.is_deleted == false()))
        return rows[0] if rows else None

    async def list(self, filters: Mapping[str, Any] | None = None, *, limit: int | None = 100) -> Rows:
        wanted = [self.table.c[name] == value for name, value in (filters or {}).items()]
        live = select(self.table).where(*wanted, self.table.c.is_deleted == false())
        return await self._rows(live.order_by(self.order_by, self.table.c.id).limit(limit))

    async def create(self, values: Mapping[str, Any]) -> Row:
        return (await self._rows(insert(self.table).values(values).returning(*self.table.columns)))[0]

    async def update(self, id: UUID, changes: Mapping[str, Any]) -> Row:
        return await self._change(id, {**changes, "updated_at": func.now()})

    async def delete(self, id: UUID) -> Row:
        return await self._change(id, {"is_deleted": true(), "deleted_at": func.now(), "updated_at": func.now()})

    async def _change(self, id: UUID, values: Mapping[str, Any]) -> Row:
        live = update(self.table).where(self.table.c.id == id, self.table.c.is_deleted == false())
        rows = await self._rows(live.values(values).returning(*self.table.columns))
        if not rows:
            raise Problem(404, "not-found", "There is no such record, or it is deleted.")
        return rows[0]

    async def _rows(self, statement: Executable) -> Rows:
        async with self.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(statement)).mappings()]


def _loads(content: str) -> Any:
    """JSON with ordinary floats; a number that does not fit one stays text."""
    return json.loads(content, parse_float=_float, parse_int=_integer)


def _float(number: str) -> float | str:
    value = float(number)
    return value if math.isfinite(value) else number


def _integer(number: str) -> int | str:
    # Python refuses to parse integers of more than 4300 digits.
    return int(number) if len(number) <= 4000 else number
