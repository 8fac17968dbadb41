"""The application: configuration in, FastAPI out."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from fastapi import FastAPI
from fastapi.routing import APIRoute
from service_common import postgres
from service_common.server import prepare

from storage_service import health
from storage_service.auth import caller_of
from storage_service.config import Settings
from storage_service.db.exact_json import RawJson
from storage_service.db.store import Store
from storage_service.metrics import Metrics
from storage_service.routes import table_routers


def create_app(settings: Settings) -> FastAPI:
    """The Storage Service for this configuration; it starts without its database, too (and is not ready then)."""
    schemas = {name: database.schema_name for name, database in settings.storage.databases.items()}
    engine = postgres.create_engine(
        settings.database, "storage_service", json_serializer=_text_of, json_deserializer=RawJson
    ).execution_options(schema_translate_map=schemas)
    store = Store(engine)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        purge = asyncio.create_task(store.purge(timedelta(hours=settings.idempotency_hours)))
        yield
        purge.cancel()
        with suppress(asyncio.CancelledError):
            await purge
        await engine.dispose()

    app = FastAPI(
        title="Storage Service",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    for database in settings.storage.databases:
        tables = importlib.import_module(f"storage_service.databases.{database}.schemas").TABLES
        for table in tables:
            for router in table_routers(store, database, table, caller_of(settings.services, database)):
                app.include_router(router)
    lineages = [*settings.storage.with_migrations(), "storage_service"]
    app.include_router(health.router(health.HealthCheck(engine, lineages)))
    Metrics(engine).install(app)
    postgres.install(app)
    return prepare(app, settings.server)


def _text_of(value: RawJson) -> str:
    return value.text


def _operation_id(route: APIRoute) -> str:
    words = [word for word in route.path_format.split("/") if word and word[0] != "{"]
    return "_".join([*words[1:3], route.name] if words[0] == "databases" else [*words])
