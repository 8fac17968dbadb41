"""The endpoints that every reference service has."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from importlib.metadata import version
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import FastAPI, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from service_common import api_page
from service_common.problem import Problem, documented
from service_common.reference.backend import Backend, Records, ServiceSettings
from service_common.reference.fenced import PatientWrites
from service_common.server import prepare

Limit = Annotated[int, Query(ge=1, le=1000)]
PROBLEMS = documented(400, 404, 409, 413, 422, 503)


class Changes(BaseModel):
    """The columns of an update; only those that the request names are changed."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """{column: value} as the request named them."""
        return self.model_dump(exclude_unset=True)


class NewRecord(BaseModel):
    """Mixed into the values of a new record: its key, random unless given."""

    id: UUID = Field(default_factory=uuid4)


def reference_app(title: str, settings: ServiceSettings, backend: Backend) -> FastAPI:
    """An application with /health on `backend`, without resources yet."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await backend.aclose()

    app = FastAPI(
        title=title,
        version=version("service-common"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )

    @app.get("/health", responses={503: {}})
    async def health() -> Response:
        """Whether this service can work, and on which backend."""
        storage = await backend.health()
        healthy = bool(storage["ok"])
        content = {"status": "healthy" if healthy else "unhealthy", "storage": storage}
        return _json(content, 200 if healthy else 503)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        """The operations, for people."""
        return Response(api_page.page(app.openapi()), media_type="text/html; charset=utf-8")

    backend.install(app)
    app.state.writes = PatientWrites.within(
        settings.writes.fence_wait_seconds, settings.server.request_timeout_seconds, backend.is_fenced
    )
    return prepare(app, settings.server)


def add_resource(app: FastAPI, path: str, records: Records, create: type[Changes], update: type[Changes]) -> None:
    """Add create, get, list, update and soft delete of one table's records below `path`; writes wait for a fence."""
    records = app.state.writes.of(records)

    @app.post(path, status_code=201, responses=PROBLEMS)
    async def create_record(values: create) -> Response:  # type: ignore[valid-type]  # a parameter
        return _json(await records.create({**values.given(), "id": values.id}), 201)  # type: ignore[attr-defined]  # as above

    @app.get(path, responses=PROBLEMS)
    async def list_records(limit: Limit = 100) -> Response:
        return _json(await records.list(limit=limit))

    @app.get(path + "/{id}", responses=PROBLEMS)
    async def get_record(id: UUID) -> Response:
        record = await records.get(id)
        if record is None:
            raise Problem(404, "not-found", "There is no such record, or it is deleted.")
        return _json(record)

    @app.patch(path + "/{id}", responses=PROBLEMS)
    async def update_record(id: UUID, changes: update) -> Response:  # type: ignore[valid-type]  # a parameter
        return _json(await records.update(id, changes.given()))  # type: ignore[attr-defined]  # as above

    @app.delete(path + "/{id}", responses=PROBLEMS)
    async def delete_record(id: UUID) -> Response:
        return _json(await records.delete(id))


def add_children(app: FastAPI, path: str, records: Records, parent_column: str) -> None:
    """Add the list of all records of one parent: `path` has {id}, the parent's key."""

    @app.get(path, responses=PROBLEMS)
    async def list_children(id: UUID) -> Response:
        return _json(await records.list({parent_column: id}, limit=None))


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, default=_plain, allow_nan=False), status, media_type="application/json")


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            # Like on the direct backend: floats, and text where a float would be infinite.
            return float(value) if abs(value) < Decimal("1.7e308") else str(value)
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
    raise TypeError(type(value).__name__)
