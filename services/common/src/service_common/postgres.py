"""Engines on asyncpg, and what PostgreSQL's errors mean to a client. Needs SQLAlchemy and asyncpg."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
from fastapi import FastAPI, Request
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.responses import Response

from service_common.config import PostgresConfig, read_secret
from service_common.problem import Problem, unavailable

log = logging.getLogger(__name__)

FENCED = "25006"
"""read_only_sql_transaction: what the runbook's fence raises, and a standby."""


def create_engine(
    config: PostgresConfig,
    application_name: str,
    *,
    json_serializer: Callable[[Any], str],
    json_deserializer: Callable[[str], Any],
) -> AsyncEngine:
    """An engine that connects lazily; sessions are named `application_name` in pg_stat_activity.

    Every statement is its own transaction: what must be atomic is written as one statement.
    """
    return create_async_engine(
        URL.create("postgresql+asyncpg", config.user, None, config.host, config.port, config.dbname),
        connect_args=connect_arguments(config, application_name),
        isolation_level="AUTOCOMMIT",
        pool_size=config.pool_size,
        max_overflow=0,
        pool_timeout=config.pool_timeout_seconds,
        hide_parameters=True,
        json_serializer=json_serializer,
        json_deserializer=json_deserializer,
    )


def connect_arguments(config: PostgresConfig, application_name: str) -> dict[str, Any]:
    """What asyncpg is to be told besides the address; the password is read at every connect."""
    password_file = config.password_file
    arguments: dict[str, Any] = {
        "timeout": config.connect_timeout_seconds,
        # The server ends a statement first; this is for a server that no longer answers.
        "command_timeout": config.statement_timeout_seconds + 1,
        "ssl": _ssl(config),
        "server_settings": {
            "application_name": application_name,
            "TimeZone": "UTC",
            "DateStyle": "ISO",
            "statement_timeout": str(int(config.statement_timeout_seconds * 1000)),
            "lock_timeout": str(int(config.lock_timeout_seconds * 1000)),
        },
    }
    if config.passfile:
        arguments["passfile"] = str(config.passfile)
    if password_file:
        arguments["password"] = lambda: read_secret(password_file)
    return arguments


def _ssl(config: PostgresConfig) -> ssl.SSLContext | str:
    """What asyncpg takes: libpq's word, or a context where a root certificate is given."""
    if config.sslmode == "disable" or not config.sslrootcert:
        return config.sslmode
    context = ssl.create_default_context(cafile=str(config.sslrootcert))
    context.check_hostname = config.sslmode == "verify-full"
    return context


@dataclass(frozen=True)
class _Meaning:
    """What a SQLSTATE means to a client."""

    status: int
    problem: str
    detail: str
    retry_after_seconds: float = 1


# The most specific prefix wins. A statement is a transaction of its own: whatever error the server gives, it wrote
# nothing, unless the connection ended with it (08, 57P: it may end between the commit and the answer).
_MEANING = {
    FENCED: _Meaning(503, "fenced", "The table is closed for writes while its data moves; nothing was written.", 0.1),
    "08": _Meaning(503, "database-unavailable", "The connection to the database was lost."),
    "40003": _Meaning(503, "database-unavailable", "The database does not know whether it wrote."),
    "57P": _Meaning(503, "database-unavailable", "The database ended the connection."),
    "57014": _Meaning(503, "statement-timeout", "The database did not finish in time; nothing was written."),
    "53": _Meaning(503, "database-unavailable", "The database has no room for this request now."),
    "40": _Meaning(503, "conflict", "The transaction met another one; nothing was written.", 0.05),
    "55P03": _Meaning(503, "locked", "The row or table is locked; nothing was written.", 0.2),
    "28": _Meaning(503, "database-unavailable", "The database refused the service's login; its operator must look."),
    "3D": _Meaning(503, "database-unavailable", "The service's database does not exist; its operator must look."),
    "42501": _Meaning(503, "grant-missing", "The service's role lacks a privilege; nothing was written.", 5),
    "23505": _Meaning(409, "already-exists", "A record with this key exists already."),
    "23503": _Meaning(409, "reference-missing", "The record refers to one that does not exist."),
    "23": _Meaning(422, "invalid-value", "A constraint of the table refuses this value."),
    "22": _Meaning(422, "invalid-value", "The database cannot store this value in its column."),
    "54": _Meaning(422, "too-complex", "The value is nested too deeply."),
}


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE of a SQLAlchemy or asyncpg error, if the server gave one."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(origin, "sqlstate", None)
    return state if isinstance(state, str) else None


def problem_of(error: BaseException) -> Problem | None:
    """What the client is told about `error`, or None when it is a fault of ours."""
    if isinstance(error, PoolTimeout):
        return unavailable("overloaded", "All database connections are in use.")
    state = sqlstate_of(error)
    for prefix in (state, state[:3], state[:2]) if state else ():
        if prefix in _MEANING:
            meaning = _MEANING[prefix]
            detail = f"{meaning.detail} (SQLSTATE {state})"
            if meaning.status == 503:
                return unavailable(meaning.problem, detail, meaning.retry_after_seconds)
            return Problem(meaning.status, meaning.problem, detail)
    if state:
        return None
    lost = isinstance(error, DBAPIError) and (
        error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    )
    if lost or isinstance(error, OSError | asyncio.TimeoutError | asyncpg.InterfaceError):
        return unavailable("database-unavailable", "The database cannot be reached.")
    return None


def install(app: FastAPI) -> None:
    """Make PostgreSQL's errors problem documents of `app`."""

    async def database_error(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem is None or problem.status_code == 503:
            fields = {"path": request.url.path, "error": type(error).__name__, "sqlstate": sqlstate_of(error)}
            log.warning("database error", extra={"fields": fields})
        if problem is None:
            problem = Problem(500, "internal-error", f"The database refused the statement ({sqlstate_of(error)}).")
        return problem.response()

    for kind in (DBAPIError, PoolTimeout, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        app.add_exception_handler(kind, database_error)
