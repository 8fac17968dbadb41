"""The routes of one served table: query, create, update, soft delete."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.routing import APIRoute
from service_common.problem import documented
from sqlalchemy import CTE

from storage_service.db import statements
from storage_service.db.exact_json import split_object
from storage_service.db.schemas import TableSchemas
from storage_service.db.store import RequestKey, Store

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern="^[!-~]{1,255}$",
        description="Makes the write safe to repeat: the same request under the same key happens once.",
    ),
]
READ_PROBLEMS = documented(400, 401, 403, 413, 422, 503)
WRITE_PROBLEMS = documented(400, 401, 403, 404, 409, 413, 422, 503)


class _ExactRequest(Request):
    async def json(self) -> Any:
        return split_object(await self.body())


class ExactRoute(APIRoute):
    """A route whose body keeps every member's text, for JSON columns."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def exact_handler(request: Request) -> Response:
            return await handler(_ExactRequest(request.scope, request.receive))

        return exact_handler


def table_routers(
    store: Store, database: str, schemas: TableSchemas, caller: Callable[..., Any]
) -> tuple[APIRouter, APIRouter]:
    """The routes of one table of `database`, for callers that the dependency `caller` lets through."""
    prefix = f"/databases/{database}/{schemas.table.name}"
    readers = APIRouter(prefix=prefix, tags=[database])
    writers = APIRouter(prefix=prefix, tags=[database], route_class=ExactRoute)
    _add_query(readers, store, schemas, caller)
    _add_writes(writers, store, schemas, caller)
    return readers, writers


def _add_query(router: APIRouter, store: Store, schemas: TableSchemas, caller: Callable[..., Any]) -> None:
    @router.post(
        "/query", response_model=schemas.page, responses=READ_PROBLEMS, dependencies=[Depends(caller)], name="query"
    )
    async def query(wanted: schemas.query) -> Response:  # type: ignore[name-defined]  # derived from the table
        """Rows that fit the filters, a page at a time; deleted rows too, unless filtered by is_deleted."""
        return _json(await store.read(schemas, wanted))


def _add_writes(router: APIRouter, store: Store, schemas: TableSchemas, caller: Callable[..., Any]) -> None:
    table = schemas.table
    Caller = Annotated[str, Depends(caller)]

    async def written(write: CTE, request: Request, service: str, key: str | None, status: int = 200) -> Response:
        repeated = None
        if key is not None:
            repeated = RequestKey.of(service, key, request.method, request.url.path, await request.body())
        return _json(await store.write(write, repeated), status)

    @router.post("", response_model=schemas.record, responses=WRITE_PROBLEMS, status_code=201, name="create")
    async def create(
        request: Request,
        service: Caller,
        values: schemas.create,  # type: ignore[name-defined]  # derived from the table
        key: IdempotencyKeyHeader = None,
    ) -> Response:
        """Create one row. Columns that are left out get their default."""
        return await written(statements.create(table, values.given()), request, service, key, 201)

    @router.patch("/{id}", response_model=schemas.record, responses=WRITE_PROBLEMS, name="update")
    async def update(
        request: Request,
        service: Caller,
        id: UUID,
        changes: schemas.update,  # type: ignore[name-defined]  # derived from the table
        key: IdempotencyKeyHeader = None,
    ) -> Response:
        """Change the named columns of one row that is not deleted."""
        return await written(statements.change(table, id, changes.given()), request, service, key)

    @router.delete("/{id}", response_model=schemas.record, responses=WRITE_PROBLEMS, name="delete")
    async def delete(request: Request, service: Caller, id: UUID, key: IdempotencyKeyHeader = None) -> Response:
        """Mark one row as deleted. The answer is the row as it is then."""
        return await written(statements.soft_delete(table, id), request, service, key)


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")
