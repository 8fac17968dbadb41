"""The inventory's model of one service database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from consolidation.borders import Json
from consolidation.errors import ConfigurationError
from consolidation.modes.choice import choose
from consolidation.modes.strategy import WINDOW, Strategy
from consolidation.postgres.connection import Settings

SOURCE, TARGET = "source", "target"


@dataclass(frozen=True)
class Side:
    """One side of a service database: its tables, and the roles that write them."""

    database: str
    name: str
    """``source`` or ``target``."""
    settings: Settings
    schema: str
    tables: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Database:
    """One service database: where it is, and where it goes."""

    name: str
    """Name of the target schema, of the Alembic lineage and of the inventory host."""
    source: Settings
    source_schema: str
    tables: tuple[str, ...]
    """Tables to migrate; empty: all of the source schema."""
    target: Settings
    application_roles: tuple[str, ...] = ()
    """Roles the service writes with on the source; the fence is probed as each of them."""
    target_roles: tuple[str, ...] = ()
    """Roles that read and write the target schema after the cutover."""
    mode: str = WINDOW
    """What the inventory asks for: ``window``, or ``online``, in which the source is followed while it is written."""
    run_id: str | None = None
    """The run that the operator's command has begun: phases of another one are refused. None: not asked."""

    @property
    def strategy(self) -> Strategy:
        """How its rows get to their schema. Raises ConfigurationError where that cannot be as it is wanted."""
        here, there = self.source, self.target
        in_place = (here.host, here.port, here.dbname) == (there.host, there.port, there.dbname)
        if chosen := choose(self.mode, in_place=in_place):
            return chosen
        raise ConfigurationError(
            f"{self.name}: its tables are in the storage database already and are moved, which takes a moment: there is"
            " nothing to follow",
            hint="leave consolidation_database.mode out, or set it to window",
        )

    @property
    def source_side(self) -> Side:
        """The side that is authoritative until the cutover."""
        roles = (*self.application_roles, self.source.user)
        return Side(self.name, SOURCE, self.source, self.source_schema, self.tables, roles)

    @property
    def target_side(self) -> Side:
        """The side that is authoritative after the cutover."""
        return Side(self.name, TARGET, self.target, self.name, (), (*self.target_roles, self.target.user))

    def side(self, name: str) -> Side:
        """The ``source`` or ``target`` side."""
        return self.source_side if name == SOURCE else self.target_side

    @classmethod
    def from_options(cls, options: Mapping[str, Any], run_id: str | None = None) -> Database:
        """Build from the ``database`` option of our modules, and ``run_id``. Raises ConfigurationError."""
        database = cls(
            name=options["name"],
            source=connection_settings(options["source"]),
            source_schema=options["source_schema"],
            tables=tuple(options.get("tables") or ()),
            target=connection_settings(options["target"]),
            application_roles=tuple(options.get("application_roles") or ()),
            target_roles=tuple(options.get("target_roles") or ()),
            mode=options.get("mode") or WINDOW,
            run_id=run_id,
        )
        if not database.strategy.two_copies and database.source_schema == database.name:
            raise ConfigurationError(
                f"{database.name}: source and target are the same schema of the same database",
                hint="set consolidation_database.source_schema to the schema the tables are in today",
            )
        return database

    def as_json(self) -> Json:
        """The ``database`` option that ``from_options`` makes this value of, for a process of ours."""
        return {
            "name": self.name,
            "source": self.source.keywords(),
            "source_schema": self.source_schema,
            "tables": list(self.tables),
            "target": self.target.keywords(),
            "application_roles": list(self.application_roles),
            "target_roles": list(self.target_roles),
            "mode": self.mode,
        }


def connection_settings(options: Mapping[str, Any]) -> Settings:
    """Build from one connection option of our modules (``arguments.connection``)."""
    known = {field.name for field in fields(Settings)}
    return Settings(**{key: value for key, value in options.items() if key in known and value is not None})
