"""create the tables

Revision ID: journal_0001
Revises:
Create Date: 2026-11-22 14:01:19.427244
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "journal_0001"
down_revision = None
branch_labels = ("journal",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False, comment="user@host that started it"),
        sa.Column(
            "control",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the ansible-playbook process at work: host, pid, start time",
        ),
        sa.Column("version", sa.Text(), nullable=False, comment="version of the runbook"),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        schema="consolidation",
    )
    op.create_table(
        "run_database",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("database", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state IN ('migrating', 'migrated', 'rolling_back', 'rolled_back')", name=op.f("ck_run_database_state")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["consolidation.run.id"], name=op.f("fk_run_database_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "database", name=op.f("pk_run_database")),
        schema="consolidation",
    )
    op.create_index(
        "uq_run_database_open",
        "run_database",
        ["database"],
        unique=True,
        schema="consolidation",
        postgresql_where=sa.text("state IN ('migrating', 'rolling_back')"),
    )
    op.create_table(
        "phase",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("database", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "result",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="figures and evidence; no row data",
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name=op.f("ck_phase_state")),
        sa.ForeignKeyConstraint(
            ["run_id", "database"],
            ["consolidation.run_database.run_id", "consolidation.run_database.database"],
            name=op.f("fk_phase_run_id_database_run_database"),
        ),
        sa.PrimaryKeyConstraint("run_id", "database", "name", name=op.f("pk_phase")),
        schema="consolidation",
    )
    op.create_table(
        "table_load",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("database", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "deferred",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="definitions dropped for the load, to be restored after it",
        ),
        sa.Column("binary", sa.Boolean(), nullable=False, comment="COPY in binary; otherwise in text"),
        sa.Column(
            "source_rows", sa.BigInteger(), nullable=True, comment="count(*) of the source in the copy's snapshot"
        ),
        sa.Column(
            "source_state",
            sa.Text(),
            nullable=False,
            comment="fence and file of the source's table; another one: load again",
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('loading', 'restoring', 'done')", name=op.f("ck_table_load_state")),
        sa.ForeignKeyConstraint(
            ["run_id", "database"],
            ["consolidation.run_database.run_id", "consolidation.run_database.database"],
            name=op.f("fk_table_load_run_id_database_run_database"),
        ),
        sa.PrimaryKeyConstraint("run_id", "database", "table_name", name=op.f("pk_table_load")),
        schema="consolidation",
    )
    op.create_table(
        "chunk",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("database", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("low", sa.Text(), nullable=True, comment="first ctid of the range; NULL: from the start"),
        sa.Column("high", sa.Text(), nullable=True, comment="first ctid after the range; NULL: to the end"),
        sa.Column("estimated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column(
            "digest",
            sa.Numeric(precision=39, scale=0),
            nullable=True,
            comment="sum of the rows' hashes as they left the source, modulo 2^128",
        ),
        sa.Column("seconds", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('queued', 'done')", name=op.f("ck_chunk_state")),
        sa.ForeignKeyConstraint(
            ["run_id", "database", "table_name"],
            [
                "consolidation.table_load.run_id",
                "consolidation.table_load.database",
                "consolidation.table_load.table_name",
            ],
            name=op.f("fk_chunk_run_id_database_table_name_table_load"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "database", "table_name", "number", name=op.f("pk_chunk")),
        schema="consolidation",
    )


def downgrade() -> None:
    op.drop_table("chunk", schema="consolidation")
    op.drop_table("table_load", schema="consolidation")
    op.drop_table("phase", schema="consolidation")
    op.drop_index(
        "uq_run_database_open",
        table_name="run_database",
        schema="consolidation",
        postgresql_where=sa.text("state IN ('migrating', 'rolling_back')"),
    )
    op.drop_table("run_database", schema="consolidation")
    op.drop_table("run", schema="consolidation")
