"""Liveness, readiness, and the health that the plan's clients ask for."""

import asyncio
import importlib
from dataclasses import dataclass

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

_VERSIONS = text("SELECT version_num FROM consolidation.alembic_version")


def head_of(database: str) -> str:
    """The revision that this release's models of a database are at; a test compares it with the lineage's head."""
    return str(importlib.import_module(f"storage_service.databases.{database}").HEAD)


class Health(BaseModel):
    """`ok`: requests can be served."""

    ok: bool
    database: str
    """up or down"""
    lineages: dict[str, str]
    """Of every database with `migrations: true`: current, or behind (another revision than this release's)."""


@dataclass(frozen=True)
class HealthCheck:
    """Looks at the database and at the revisions of the lineages that this configuration expects."""

    engine: AsyncEngine
    lineages: list[str]

    async def run(self) -> Health:
        try:
            async with asyncio.timeout(5), self.engine.connect() as connection:
                found = set((await connection.execute(_VERSIONS)).scalars())
        except (SQLAlchemyError, OSError):
            return Health(ok=False, database="down", lineages={})
        states = {name: "current" if head_of(name) in found else "behind" for name in self.lineages}
        return Health(ok="behind" not in states.values(), database="up", lineages=states)


def router(check: HealthCheck) -> APIRouter:
    """The health endpoints; no token is needed."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers; nothing else is looked at."""
        return {"status": "alive"}

    @routes.get("/health/ready", responses={503: {"model": Health}})
    async def ready(response: Response) -> Health:
        """The database answers and its lineages are at this release's revisions."""
        health = await check.run()
        response.status_code = 200 if health.ok else 503
        return health

    @routes.get("/health")
    async def health() -> Health:
        """The same, always with status 200: the answer is in `ok`."""
        return await check.run()

    return routes
