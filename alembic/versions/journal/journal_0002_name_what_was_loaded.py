"""name what was loaded

Runs are ordered by a number instead of a clock; what a load was made from stands in columns instead of a sentence.

Revision ID: journal_0002
Revises: journal_0001
Create Date: 2026-11-28 18:20:11.402913
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "journal_0002"
down_revision = "journal_0001"
branch_labels = None
depends_on = None

NUMBERED = """
UPDATE consolidation.run r SET number = o.number
  FROM (SELECT id, row_number() OVER (ORDER BY started_at, id) AS number FROM consolidation.run) o
 WHERE o.id = r.id
"""
IDENTITY = """
-- squawk-ignore adding-not-nullable-field
ALTER TABLE consolidation.run ALTER COLUMN number SET NOT NULL;
-- squawk-ignore ban-alter-identity
ALTER TABLE consolidation.run ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('consolidation.run', 'number'), count(*) + 1, false) FROM consolidation.run
"""
LOADS = """
UPDATE consolidation.table_load l
   SET source_filenode = substring(l.source_state FROM 'file ([0-9]+)$')::bigint,
       fence_epoch = (SELECT p.result ->> 'seal' FROM consolidation.phase p
                       WHERE (p.run_id, p.database, p.name) = (l.run_id, l.database, 'fence')
                         AND starts_with(l.source_state, 'closed ' || (p.result ->> 'closed_at') || ','))
"""
SENTENCE = """
-- squawk-ignore ban-drop-column
ALTER TABLE consolidation.table_load DROP COLUMN source_state
"""


def upgrade() -> None:
    op.add_column(
        "run",
        sa.Column("number", sa.BigInteger(), nullable=True, comment="runs in the order of their beginning"),
        schema="consolidation",
    )
    op.execute(NUMBERED)
    op.execute(IDENTITY)
    op.add_column(
        "table_load",
        sa.Column(
            "fence_epoch",
            sa.Text(),
            nullable=True,
            comment="closing of the source's fence it was loaded behind; another one: load again",
        ),
        schema="consolidation",
    )
    op.add_column(
        "table_load",
        sa.Column(
            "source_filenode",
            sa.BigInteger(),
            nullable=True,
            comment="file of the source's table; another one: load again",
        ),
        schema="consolidation",
    )
    op.execute(LOADS)
    op.execute(SENTENCE)


def downgrade() -> None:
    op.add_column(
        "table_load",
        sa.Column(
            "source_state",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="fence and file of the source's table; another one: load again",
        ),
        schema="consolidation",
    )
    op.alter_column("table_load", "source_state", server_default=None, schema="consolidation")
    op.drop_column("table_load", "source_filenode", schema="consolidation")
    op.drop_column("table_load", "fence_epoch", schema="consolidation")
    op.drop_column("run", "number", schema="consolidation")
