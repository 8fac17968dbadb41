"""Tables of the journal (schema ``consolidation`` of the storage database), as its Alembic lineage creates them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "consolidation"

DATABASE_STATES = ("migrating", "migrated", "rolling_back", "rolled_back")
PHASE_STATES = ("running", "done", "failed")
LOAD_STATES = ("loading", "restoring", "done")
CHUNK_STATES = ("queued", "done")
SIDES = ("source", "target")

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False, comment="runs in the order of their beginning"),
    Column("operator", Text, nullable=False, comment="user@host that started it"),
    Column("control", JSONB, nullable=False, comment="the ansible-playbook process at work: host, pid, start time"),
    Column("version", Text, nullable=False, comment="version of the runbook"),
    _now("started_at"),
)

run_database = Table(
    "run_database",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("database", Text, primary_key=True),
    Column("state", Text, nullable=False),
    _now("changed_at"),
    _one_of("state", DATABASE_STATES),
    ForeignKeyConstraint(["run_id"], ["consolidation.run.id"]),
    Index(
        "uq_run_database_open",
        "database",
        unique=True,
        postgresql_where=text("state IN ('migrating', 'rolling_back')"),
    ),
)

phase = Table(
    "phase",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("database", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="1"),
    _now("started_at"),
    Column("finished_at", DateTime(timezone=True)),
    Column("result", JSONB, comment="figures and evidence; no row data"),
    Column("error", Text),
    _one_of("state", PHASE_STATES),
    ForeignKeyConstraint(
        ["run_id", "database"], ["consolidation.run_database.run_id", "consolidation.run_database.database"]
    ),
)

table_load = Table(
    "table_load",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("database", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("deferred", JSONB, nullable=False, comment="definitions dropped for the load, to be restored after it"),
    Column("binary", Boolean, nullable=False, comment="COPY in binary; otherwise in text"),
    Column("source_rows", BigInteger, comment="count(*) of the source in the copy's snapshot"),
    Column("fence_epoch", Text, comment="closing of the source's fence it was loaded behind; another one: load again"),
    Column("source_filenode", BigInteger, comment="file of the source's table; another one: load again"),
    Column("reread", JSONB, comment="sum of the rows read again from the target, and what it held then"),
    _now("started_at"),
    Column("finished_at", DateTime(timezone=True)),
    _one_of("state", LOAD_STATES),
    ForeignKeyConstraint(
        ["run_id", "database"], ["consolidation.run_database.run_id", "consolidation.run_database.database"]
    ),
)

chunk = Table(
    "chunk",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("database", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", Text, nullable=False, server_default="queued"),
    Column("low", Text, comment="first ctid of the range; NULL: from the start"),
    Column("high", Text, comment="first ctid after the range; NULL: to the end"),
    Column("estimated_bytes", BigInteger, nullable=False),
    Column("rows", BigInteger),
    Column("bytes", BigInteger),
    Column("digest", Numeric(39, 0), comment="sum of the rows' hashes as they left the source, modulo 2^128"),
    Column("seconds", Numeric(12, 3)),
    Column("worker", Text),
    Column("finished_at", DateTime(timezone=True)),
    _one_of("state", CHUNK_STATES),
    ForeignKeyConstraint(
        ["run_id", "database", "table_name"],
        [
            "consolidation.table_load.run_id",
            "consolidation.table_load.database",
            "consolidation.table_load.table_name",
        ],
        ondelete="CASCADE",
    ),
    Index(
        "ix_chunk_queued",
        "run_id",
        "database",
        text("estimated_bytes DESC"),
        "table_name",
        "number",
        postgresql_where=text("state = 'queued'"),
    ),
)

follow = Table(
    "follow",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("database", Text, primary_key=True),
    Column("destination", Text, primary_key=True),
    Column(
        "marks",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="table -> mark of the origin's capture when it was last brought over; another: brought whole",
    ),
    Column(
        "to_validate",
        JSONB,
        nullable=False,
        server_default="[]",
        comment="statements that validate the foreign keys that stood aside in a round",
    ),
    Column("rounds", BigInteger, nullable=False, server_default="0"),
    Column("keys", BigInteger, nullable=False, server_default="0", comment="noted keys brought over"),
    Column("rows", BigInteger, nullable=False, server_default="0", comment="rows sent"),
    Column("last_seconds", Numeric(12, 3)),
    _now("changed_at"),
    _one_of("destination", SIDES),
    ForeignKeyConstraint(
        ["run_id", "database"], ["consolidation.run_database.run_id", "consolidation.run_database.database"]
    ),
)
