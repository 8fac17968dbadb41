"""Liveness, readiness, and the health that the plan's clients ask for."""

import asyncio
import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from asyncpg import (  # type: ignore[import-untyped]  # no type information
    InsufficientPrivilegeError,
    InterfaceError,
    InvalidSchemaNameError,
    PostgresError,
    UndefinedTableError,
)
from pydantic import BaseModel
from service_common.problem import Problem

from storage_service.db.pool import NotSent, Pool
from storage_service.db.statements import IN_RECOVERY

FRESH_SECONDS = 0.1
"""For so long one look serves all who ask: strangers can ask as often as they like."""
WAIT_SECONDS = 5
KEYS = ("storage_service", "idempotency_keys")
_TABLES = (files("storage_service.db") / "sql" / "health.sql").read_text()
State = Literal["ready", "database-away", "standby", "lineage-behind", "grant-missing"]


def head_of(database: str) -> str:
    """The revision that this release's models of a database are at; a test compares it with the lineage's head."""
    return str(importlib.import_module(f"storage_service.databases.{database}").HEAD)


class DatabaseHealth(BaseModel):
    """Of one served database."""

    writes: Literal["open", "fenced"]
    """fenced: closed by the runbook while its data moves; reads are served."""
    capture: Literal["on", "off"] = "off"
    """on: the changes of all tables are noted for a rollback. Off and fenced: the source takes writes, or no side."""
    pool: Literal["free", "busy"]
    """busy: requests wait for a connection."""
    missing_grants: list[str] = []
    """Tables on which the service's role lacks SELECT, INSERT or UPDATE."""


class Health(BaseModel):
    """`ok`: requests can be served."""

    ok: bool
    state: State
    database: Literal["up", "down"]
    lineages: dict[str, str]
    """Of every database with `migrations: true`: current, or behind (another revision than this release's)."""
    databases: dict[str, DatabaseHealth] = {}
    missing_grants: list[str] = []
    """Tables of the service itself on which its role lacks SELECT, INSERT or DELETE: no write can have a key."""
    age_seconds: float = 0
    """For how long this was known when it was answered, at the most: since the look at the database began."""


@dataclass(frozen=True)
class _Look:
    """What one look has found."""

    begun: float
    found: Health
    ended: float


@dataclass
class HealthCheck:
    """Looks at the database over a connection of its own, so that no busy pool is mistaken for an absent database."""

    pool: Pool
    pools: Mapping[str, Pool]
    """Of the served databases."""
    tables: Mapping[str, tuple[str, list[str]]]
    """Schema and tables of the served databases."""
    lineages: list[str]
    _last: _Look | None = None
    _look: asyncio.Task[_Look] | None = field(default=None)

    async def run(self) -> Health:
        look = self._last
        if look is None or time.monotonic() - look.ended >= FRESH_SECONDS:
            if self._look is None or self._look.done():
                self._look = asyncio.get_running_loop().create_task(self._looked())
            # Who goes away does not end the look of the others.
            look = await asyncio.shield(self._look)
        return look.found.model_copy(update={"age_seconds": time.monotonic() - look.begun})

    async def _looked(self) -> _Look:
        begun = time.monotonic()
        self._last = _Look(begun, await self._state(), time.monotonic())
        return self._last

    async def _state(self) -> Health:
        served = [(schema, name) for schema, tables in self.tables.values() for name in tables]
        schemas, names = zip(*served, KEYS, strict=True)
        further_rights = ["UPDATE"] * len(served) + ["DELETE"]
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                [[standby]] = await self.pool.fetch(IN_RECOVERY)
                tables = await self.pool.fetch(_TABLES, schemas, names, further_rights)
                versions = await self._versions()
        except (PostgresError, InterfaceError, NotSent, OSError, Problem):
            return Health(ok=False, state="database-away", database="down", lineages={})
        lineages = {name: "current" if versions and head_of(name) in versions else "behind" for name in self.lineages}
        [keys] = [row for row in tables if (row["schema_name"], row["table_name"]) == KEYS]
        own = [] if keys["granted"] else [".".join(KEYS)]
        databases = {}
        for database, (schema, _) in self.tables.items():
            mine = [row for row in tables if row["schema_name"] == schema and row is not keys]
            databases[database] = DatabaseHealth(
                writes="fenced" if any(row["fenced"] for row in mine) else "open",
                capture="on" if mine and all(row["noted"] for row in mine) else "off",
                pool="busy" if self.pools[database].busy else "free",
                missing_grants=[row["table_name"] for row in mine if not row["granted"]],
            )
        state: State = "ready"
        if standby:
            state = "standby"
        elif versions is None:
            state = "grant-missing"
        elif "behind" in lineages.values():
            state = "lineage-behind"
        elif own or any(database.missing_grants for database in databases.values()):
            state = "grant-missing"
        return Health(
            ok=state == "ready",
            state=state,
            database="up",
            lineages=lineages,
            databases=databases,
            missing_grants=own,
        )

    async def _versions(self) -> set[str] | None:
        """None: the role may not read them."""
        try:
            return {row[0] for row in await self.pool.fetch("SELECT version_num FROM consolidation.alembic_version")}
        except InsufficientPrivilegeError:
            return None
        except (UndefinedTableError, InvalidSchemaNameError):
            return set()
