"""The Storage Service's configuration file."""

import re
from importlib.util import find_spec

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from service_common.config import PostgresConfig, Section, ServerConfig, is_loopback


class DatabaseConfig(Section):
    """One served database. (`schema` is taken on Pydantic's classes; the key keeps its name.)"""

    schema_name: str = Field(alias="schema", min_length=1, max_length=63)
    """Where its tables lie in the storage database."""
    migrations: bool = True
    """Its Alembic lineage is upgraded by the runbook and expected at its head by /health/ready."""
    backup: bool = True
    """The runbook's backup phase includes it."""


class StorageConfig(Section):
    """The plan's `storage` section."""

    databases: dict[str, DatabaseConfig]
    """By name; empty before the first database has been consolidated."""

    @field_validator("databases")
    @classmethod
    def _known(cls, databases: dict[str, DatabaseConfig]) -> dict[str, DatabaseConfig]:
        for name in databases:
            require_known(name)
        return databases

    def with_migrations(self) -> list[str]:
        """Names of the databases whose lineage is upgraded and expected at its head."""
        return [name for name, database in self.databases.items() if database.migrations]

    def with_backup(self) -> list[str]:
        """Names of the databases that the backup phase includes."""
        return [name for name, database in self.databases.items() if database.backup]


class CallerConfig(Section):
    """A service that may call, and the one database that it may use."""

    database: str
    token_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Hexadecimal SHA-256 of its token: `python -m storage_service.auth` makes a pair."""


class StorageServerConfig(ServerConfig):
    """Bodies may be as large as the documents that the services have kept in their own databases."""

    body_limit_bytes: int = Field(default=16_777_216, gt=0)
    page_limit_bytes: int = Field(default=8_388_608, gt=0)
    """About how large the rows of a page may be together; it ends there, with a cursor for the rest."""

    @model_validator(mode="after")
    def _no_token_in_clear(self) -> "StorageServerConfig":
        if not (self.tls or self.allow_plaintext or is_loopback(self.host)):
            raise ValueError(
                "tokens would cross the network in clear: give server.tls {certificate: …, key: …}, or "
                "server.allow_plaintext: true where a proxy on this machine ends TLS"
            )
        return self


class Settings(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: StorageServerConfig
    database: PostgresConfig
    storage: StorageConfig
    services: dict[str, CallerConfig]
    idempotency_hours: int = Field(default=24, gt=0)
    """How long a repeated write is recognised."""

    @field_validator("services")
    @classmethod
    def _known(cls, services: dict[str, CallerConfig]) -> dict[str, CallerConfig]:
        # A caller whose database is not served yet may be there before it: its requests get a 404 until then.
        for caller in services.values():
            require_known(caller.database)
        return services


def require_known(name: str) -> None:
    """Raises ValueError for a database whose package the service does not have."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or not _has_schemas(name):
        raise ValueError(f"no database {name!r}: there is no package storage_service.databases.{name}")


def _has_schemas(name: str) -> bool:
    package = f"storage_service.databases.{name}"
    return find_spec(package) is not None and find_spec(f"{package}.schemas") is not None
