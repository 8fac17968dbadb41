"""The Alembic lineages: where they are, their models, their pending revisions."""

from __future__ import annotations

import importlib
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData
from sqlalchemy.types import UserDefinedType

from consolidation.errors import ConfigurationError
from consolidation.installation import script_directory
from consolidation.lineage.defaults import PLUGINS
from consolidation.postgres.queries import query

VERSION_SCHEMA = "consolidation"
VERSION_TABLE = "alembic_version"
JOURNAL = "journal"


def lineages(directory: str | Path | None = None) -> tuple[str, ...]:
    """Names of the lineages: one folder each below versions/."""
    versions = Path(directory or script_directory()) / "versions"
    return tuple(sorted(path.name for path in versions.iterdir() if path.is_dir() and not path.name.startswith("_")))


def lineage_metadata(lineage: str) -> MetaData:
    """The SQLAlchemy metadata that a lineage's revisions lead to.

    The journal's own, else ``storage_service.databases.LINEAGE.models.metadata``. Raises ConfigurationError.
    """
    name = "consolidation.journal.tables" if lineage == JOURNAL else f"storage_service.databases.{lineage}.models"
    try:
        metadata = importlib.import_module(name).metadata
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"lineage {lineage}: no module {error.name}",
            hint=f"add the models of the service as {name}, with its MetaData as `metadata`",
        ) from error
    assert isinstance(metadata, MetaData)  # noqa: S101 - narrows the type for mypy; a wrong object fails right after
    return metadata


def comparison_options(metadatas: Iterable[MetaData], conn: Connection) -> dict[str, Any]:
    """Options for Alembic's comparison of models with a database: only the models' own schemas, defaults included.

    Partitions are left out on both sides: they follow from their root, and models may have them or not.
    """
    schemas = {metadata.schema for metadata in metadatas}
    partitions = {tuple(row) for row in conn.exec_driver_sql(query("lineage/partitions"), {"schemas": list(schemas)})}
    return {
        "version_table": VERSION_TABLE,
        "version_table_schema": VERSION_SCHEMA,
        "include_schemas": True,
        "include_name": lambda name, kind, parents: (
            name in schemas if kind == "schema" else not (kind == "table" and _is_log(name, parents["schema_name"]))
        ),
        "include_object": lambda item, name, kind, *_: not _is_of_partition(item, name, kind, partitions),
        # What SQLAlchemy does not know, Alembic cannot compare; preflight and the look at the built target do.
        "compare_type": lambda _c, _i, _m, _inspected, model: False if isinstance(model, UserDefinedType) else None,
        "compare_server_default": True,
        "autogenerate_plugins": PLUGINS,
    }


def _is_log(table: str | None, schema: str | None) -> bool:
    """Whether a table holds the keys that the capture has noted: it comes and goes with the table it belongs to."""
    return schema == VERSION_SCHEMA and (table or "").startswith("changed_")


def _is_of_partition(
    item: Any, name: str | None, kind: str, partitions: Container[tuple[str | None, str | None]]
) -> bool:
    """A partition, or what a foreign key that refers to its root has for it."""
    if kind == "foreign_key_constraint":
        schema, table, _ = (None, *item.elements[0].target_fullname.rsplit(".", 2))[-3:]
        return (schema, table) in partitions
    return kind == "table" and (item.schema, name) in partitions
