"""The inventory's model of one service database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from consolidation.errors import ConfigurationError
from consolidation.postgres.connection import Settings


@dataclass(frozen=True)
class Database:
    """One service database: where it lies, and where it goes."""

    name: str
    """Name of the target schema, of the Alembic lineage and of the inventory host."""
    source: Settings
    source_schema: str
    tables: tuple[str, ...]
    """Tables to take along; empty: all of the source schema."""
    target: Settings
    application_roles: tuple[str, ...] = ()
    """Roles the service writes with on the source; the fence is probed as each of them."""
    target_roles: tuple[str, ...] = ()
    """Roles that read and write the target schema after the cutover."""

    @property
    def moves(self) -> bool:
        """True where the tables already lie in the storage database: they are moved by SET SCHEMA, not copied."""
        here, there = self.source, self.target
        return (here.host, here.port, here.dbname) == (there.host, there.port, there.dbname)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Database:
        """Build from the ``database`` option of our modules. Raises ConfigurationError."""
        database = cls(
            name=options["name"],
            source=connection_settings(options["source"]),
            source_schema=options["source_schema"],
            tables=tuple(options.get("tables") or ()),
            target=connection_settings(options["target"]),
            application_roles=tuple(options.get("application_roles") or ()),
            target_roles=tuple(options.get("target_roles") or ()),
        )
        if database.moves and database.source_schema == database.name:
            raise ConfigurationError(
                f"{database.name}: source and target are the same schema of the same database",
                hint="set consolidation_database.source_schema to the schema the tables lie in today",
            )
        return database


def connection_settings(options: Mapping[str, Any]) -> Settings:
    """Build from one connection option of our modules (``arguments.connection``)."""
    known = {field.name for field in fields(Settings)}
    return Settings(**{key: value for key, value in options.items() if key in known and value is not None})
