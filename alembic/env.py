"""Alembic environment of all lineages: one folder below versions/ and one branch label each.

By hand, libpq's own variables say where to go (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSFILE, PGSERVICE)::

    PGSERVICE=storage alembic upgrade campaign_db@head
    PGSERVICE=storage alembic check

``-x lineage=NAME`` narrows ``revision --autogenerate`` to the models of one lineage.

The runbook hands its own connection over in ``config.attributes["connection"]``.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg2
from alembic import context
from sqlalchemy import Connection, MetaData, create_engine, pool, text

from consolidation.lineage.models import VERSION_SCHEMA, VERSION_TABLE, comparison_options, lineage_metadata, lineages

wanted = context.get_x_argument(as_dictionary=True).get("lineage")
metadatas: dict[str, MetaData] = {
    name: lineage_metadata(name) for name in ([wanted] if wanted else lineages(context.script.dir))
}


def connect() -> psycopg2.extensions.connection:
    """By libpq's own environment variables. The role may have the name of one of our schemas, which "$user" would make
    the default schema, and Alembic leaves the default schema's name out."""
    return psycopg2.connect("", options="-c search_path=pg_catalog")


def run(connection: Connection) -> None:
    """Run the migrations on an open connection."""
    # Two lineages may be upgraded side by side; both would create the version table.
    connection.execute(text("SELECT pg_advisory_lock(hashtext('consolidation.alembic'))"))
    # CREATE SCHEMA IF NOT EXISTS needs CREATE on the database even where the schema is there already.
    if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": VERSION_SCHEMA}) is None:
        connection.execute(text(f"CREATE SCHEMA {VERSION_SCHEMA}"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=list(metadatas.values()),
        transaction_per_migration=True,
        **comparison_options(metadatas.values(), connection),
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(hashtext('consolidation.alembic'))"))
    connection.commit()


def offline(targets: Iterable[MetaData]) -> None:
    """Print the SQL instead of running it (``alembic upgrade --sql``)."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=list(targets),
        version_table=VERSION_TABLE,
        version_table_schema=VERSION_SCHEMA,
        literal_binds=True,
    )
    with context.begin_transaction():
        context.execute(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}")
        context.run_migrations()


if context.is_offline_mode():
    offline(metadatas.values())
elif (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    engine = create_engine("postgresql+psycopg2://", creator=connect, poolclass=pool.NullPool)
    with engine.connect() as opened:
        run(opened)
