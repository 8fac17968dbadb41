"""The description of the API, derived from the tables: FastAPI writes it, and never sees a request."""

from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Body, Depends, FastAPI, Header, Path
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from service_common.problem import documented
from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, Uuid

from storage_service.db.schemas import MANAGED, Ids, TableSchemas
from storage_service.health import Health

VERSION = "1.0.0"
_EXAMPLE_ID = "6f1c2a44-5a37-4f0e-9c1d-2f6d2b1f0c11"
_EXAMPLE_VERSION = "74213"
_bearer = HTTPBearer(description="The calling service's token")
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern="^[!-~]{1,255}$",
        description="Makes the write safe to repeat: the same request under the same key happens once.",
        examples=["b7c0a6a1f6f54d6f9d3f5a0e8c1d2e3f"],
    ),
]
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        pattern=r'^("[!#-~]{1,64}"|\*)$',
        description="The ETag of an answer: the write is refused (412) if the record was changed since.",
        examples=[f'"{_EXAMPLE_VERSION}"'],
    ),
]
Id = Annotated[UUID, Path(examples=[_EXAMPLE_ID])]
_LEFT_OUT: Any = None
_READ = documented(400, 401, 403, 413, 422, 503)
_WRITE = documented(400, 401, 403, 404, 409, 410, 412, 413, 422, 503)
_ETAG = {"schema": {"type": "string"}, "description": "The version of the record.", "example": f'"{_EXAMPLE_VERSION}"'}


def document(tables: Iterable[tuple[str, TableSchemas]]) -> bytes:
    """The OpenAPI document of a service with these tables, each with its database."""
    app = FastAPI(title="Storage Service", version=VERSION, generate_unique_id_function=_operation_id)
    for database, schemas in tables:
        app.include_router(_table(database, schemas))
    app.include_router(_health())
    return msgspec.json.encode(app.openapi())


def _table(database: str, schemas: TableSchemas) -> APIRouter:
    name = schemas.table.name
    routes = APIRouter(prefix=f"/v1/databases/{database}/{name}", tags=[database], dependencies=[Depends(_bearer)])
    record, page = schemas.record, schemas.page
    whole = {column.name: _example(column) for column in schemas.table.columns if column.name != "deleted_at"}
    created = {name: value for name, value in whole.items() if name not in MANAGED}
    changed = dict([[*created.items()][1]])  # behind the id
    query_example = {"filters": {"is_deleted": False}, "order_by": ["-created_at"], "limit": 20, "cursor": None}
    row = _answer(whole) | {"headers": {"ETag": _ETAG}}
    rows = _answer({"rows": [whole], "versions": [_EXAMPLE_VERSION], "next_cursor": "WyI4ZjE0ZTQ1Zi4uLiJd"})

    @routes.post("/query", response_model=page, responses=_READ | {200: rows})
    def query(wanted: Annotated[schemas.query, Body(examples=[query_example])]) -> Any:  # type: ignore[name-defined]
        """Rows that fit the filters, a page at a time; deleted rows too, unless filtered by is_deleted."""

    @routes.post("/read", response_model=page, responses=_READ | {200: rows})
    def read(wanted: Annotated[Ids, Body(examples=[{"ids": [_EXAMPLE_ID]}])]) -> Any:
        """The rows with these ids that are not deleted, by id. next_cursor: the last id, where more did not fit."""

    @routes.post("", response_model=record, responses=_WRITE | {201: row}, status_code=201)
    def create(values: Annotated[schemas.create, Body(examples=[created])], key: Key = _LEFT_OUT) -> Any:  # type: ignore[name-defined]
        """Create one row. Columns that are left out get their default."""

    @routes.post("/batch", response_model=page, responses=_WRITE | {201: rows}, status_code=201)
    def batch(values: Annotated[schemas.batch, Body(examples=[{"rows": [created]}])], key: Key = _LEFT_OUT) -> Any:  # type: ignore[name-defined]
        """Create rows in one transaction, all or none. They all name the same columns, and come back in their order."""

    @routes.get("/{id}", response_model=record, responses=_READ | documented(404) | {200: row})
    def get(id: Id) -> Any:
        """One row that is not deleted."""

    @routes.patch("/{id}", response_model=record, responses=_WRITE | {200: row})
    def update(
        id: Id,
        changes: Annotated[schemas.update, Body(examples=[changed])],  # type: ignore[name-defined]
        key: Key = _LEFT_OUT,
        version: IfMatch = _LEFT_OUT,
    ) -> Any:
        """Change the named columns of one row that is not deleted."""

    @routes.delete("/{id}", response_model=record, responses=_WRITE | {200: row})
    def delete(id: Id, key: Key = _LEFT_OUT, version: IfMatch = _LEFT_OUT) -> Any:
        """Mark one row as deleted. The answer is the row as it is then."""

    return routes


def _answer(example: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"example": example}}}


def _example(column: Column[Any]) -> Any:
    match column.type:
        case JSON():
            return {"level": 3}
        case Uuid():
            return _EXAMPLE_ID
        case Integer():
            return 1
        case Boolean():
            return False
        case DateTime():
            return "2026-11-29T12:00:00+00:00"
    return f"a {column.name}"[: getattr(column.type, "length", None)]


def _health() -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/health/live")
    def live() -> dict[str, str]:
        """The process answers; nothing else is looked at."""
        return {}

    @routes.get("/health/ready", responses={503: {"model": Health}})
    def ready() -> Health:  # type: ignore[empty-body]  # described, not served
        """Requests can be served; `state` says why not."""

    @routes.get("/health")
    def health() -> Health:  # type: ignore[empty-body]  # described, not served
        """The same, always with status 200: the answer is in `ok`."""

    return routes


def _operation_id(route: APIRoute) -> str:
    words = [word for word in route.path_format.split("/") if word and word[0] != "{"]
    if words[0] != "v1":
        return "_".join(words)
    return "_".join([*words[2:4], route.name])
