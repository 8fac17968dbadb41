"""The application: configuration in, ASGI out."""

import asyncio
import functools
import importlib
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
from service_common.config import ConfigError
from service_common.postgres import connect_arguments
from service_common.problem import Problem

from storage_service import openapi
from storage_service.asgi import Application, Service
from storage_service.auth import Callers
from storage_service.config import Settings
from storage_service.db.pool import STATEMENTS, NotSent, Pool
from storage_service.db.schemas import TableSchemas
from storage_service.db.statements import PURGE
from storage_service.db.store import TableStore
from storage_service.health import HealthCheck
from storage_service.metrics import Metrics
from storage_service.operations import TableOperations
from storage_service.public import PublicPages
from storage_service.request_log import RequestLog

log = logging.getLogger(__name__)
PURGE_EVERY_SECONDS = 3600
PURGE_BATCH = 1000
"""Keys that one statement removes: some milliseconds."""


@dataclass
class Running:
    """An application, its connections and its chores."""

    application: Application
    pools: list[Pool]
    own: Pool
    log: RequestLog
    keep: timedelta
    _purge: asyncio.Task[None] | None = field(default=None)

    def start(self) -> None:
        """Begin the chores."""
        self._purge = asyncio.get_running_loop().create_task(purge(self.own, self.keep))

    async def stop(self, after_seconds: float) -> None:
        """End the chores, and the connections once the requests under way have had their time."""
        if self._purge is not None:
            self._purge.cancel()
            with suppress(asyncio.CancelledError):
                await self._purge
        await asyncio.sleep(after_seconds)
        for pool in [*self.pools, self.own]:
            await pool.aclose()
        self.log.flush()


def create_app(settings: Settings) -> Service:
    """The Storage Service for this configuration; it starts without its database, too (and is not ready then)."""
    return Service(functools.partial(_build, metrics=Metrics(), log=RequestLog()), settings)


def served_tables(settings: Settings) -> list[tuple[str, TableSchemas]]:
    """The tables of the configured databases, each with its database."""
    return [
        (database, table)
        for database in settings.storage.databases
        for table in importlib.import_module(f"storage_service.databases.{database}.schemas").TABLES
    ]


def _build(settings: Settings, metrics: Metrics, log: RequestLog) -> Running:
    connect = _connector(settings)
    tables = served_tables(settings)
    pool = functools.partial(Pool, connect, wait_seconds=settings.database.pool_timeout_seconds)
    pools = {database: pool(size=settings.database.pool_size) for database in settings.storage.databases}
    # Health and purge wait for none of these.
    own = pool(size=2)
    schemas = {database: one.schema_name for database, one in settings.storage.databases.items()}
    operations = {
        (database, table.table.name): TableOperations(
            table, TableStore(table.table, schemas[database], pools[database], settings.server.page_limit_bytes)
        )
        for database, table in tables
    }
    names = {
        database: (schema, [table.table.name for at, table in tables if at == database])
        for database, schema in schemas.items()
    }
    check = HealthCheck(own, pools, names, [*settings.storage.with_migrations(), "storage_service"])
    document = functools.cache(functools.partial(openapi.document, tables))
    application = Application(
        settings, Callers(settings.services), operations, PublicPages(check, metrics, pools, document), metrics, log
    )
    return Running(application, list(pools.values()), own, log, timedelta(hours=settings.idempotency_hours))


def _connector(settings: Settings) -> Callable[[], Coroutine[Any, Any, Any]]:
    database = settings.database

    async def connect() -> Any:
        try:
            return await asyncpg.connect(
                host=database.host,
                port=database.port,
                database=database.dbname,
                user=database.user,
                statement_cache_size=STATEMENTS,
                max_cacheable_statement_size=0,  # of any length
                **connect_arguments(database, "storage_service"),
            )
        except ConfigError as error:  # the password is read at every connect
            log.error("the database's password cannot be read", extra={"fields": {"reason": str(error)}})
            raise ConnectionError(str(error)) from error

    return connect


async def purge(pool: Pool, older_than: timedelta) -> None:
    """Forget old idempotency keys, now and every hour, until cancelled; a batch at a time, however many there are."""
    while True:
        try:
            limit = datetime.now(UTC) - older_than
            while await pool.fetch(PURGE, limit, PURGE_BATCH):
                await asyncio.sleep(0)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, NotSent, OSError, Problem) as error:
            log.warning("old idempotency keys were not removed", extra={"fields": {"error": type(error).__name__}})
        await asyncio.sleep(PURGE_EVERY_SECONDS)
