"""The two backends of a reference service: its own PostgreSQL database, or the Storage Service."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from service_common.config import PostgresConfig, Section, ServerConfig


class DirectConfig(PostgresConfig):
    """`database:` before the cutover."""

    type: Literal["postgresql"]


class RemoteConfig(Section):
    """`database:` after the cutover. (`schema` is taken on Pydantic's classes; the key keeps its name.)"""

    type: Literal["storage_service"]
    schema_name: str = Field(alias="schema")
    """The database at the Storage Service."""
    client: Literal["storage_client"]


class StorageAddress(Section):
    """Where the Storage Service is; there before and after the cutover."""

    url: str
    token_file: Path
    ca_file: Path | None = None
    """The CA of the Storage Service's certificate, where it is not one of the system's."""
    allow_plaintext: bool = False
    """Send the token over http:// to another machine."""
    retry_seconds: float = Field(default=5, ge=0)
    """For how long a request is repeated while the Storage Service is away."""


class WritesConfig(Section):
    """How writes are taken."""

    fence_wait_seconds: float = Field(default=10, ge=0)
    """For how long a write waits while its table is closed by the runbook; it is answered 503 then. Never longer than
    `server.request_timeout_seconds` leaves for it."""


class ServiceSettings(BaseModel):
    """A reference service's file. Sections that others added are none of our business."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    server: ServerConfig
    database: Annotated[DirectConfig | RemoteConfig, Field(discriminator="type")]
    storage: StorageAddress | None = None
    writes: WritesConfig = WritesConfig()


class ListRecords(Protocol):
    """The signature of `list_*` of a typed client."""

    def __call__(
        self, filters: Mapping[str, Any] | None = None, *, limit: int | None = 100
    ) -> Awaitable[list[Any]]: ...


@dataclass(frozen=True)
class Records:
    """What a service does with one table: the methods of a typed client of the Storage Service, or the same directly.

    Records are dicts. update and delete raise when there is no such record.
    """

    get: Callable[[Any], Awaitable[Any]]
    list: ListRecords
    create: Callable[[Mapping[str, Any]], Awaitable[Any]]
    update: Callable[[Any, Mapping[str, Any]], Awaitable[Any]]
    delete: Callable[[Any], Awaitable[Any]]


class Backend(Protocol):
    """Where a service keeps its records."""

    @property
    def records(self) -> Mapping[str, Records]:
        """By table."""
        ...

    def install(self, app: FastAPI) -> None:
        """Make the backend's errors problem documents of `app`."""

    def is_fenced(self, error: Exception) -> bool:
        """Whether the table is closed for writes, and certainly nothing was written."""
        ...

    async def health(self) -> dict[str, Any]:
        """`ok`, and which backend it is."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
