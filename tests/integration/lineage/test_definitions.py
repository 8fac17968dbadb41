"""What a lineage has made is still so when the copy is verified: indexes, constraints, defaults, all by name."""

from __future__ import annotations

import pytest

from consolidation.errors import VerificationFailed
from consolidation.lineage import alembic as lineage
from consolidation.postgres.catalog import definitions
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute
from consolidation.verify import phase as verify
from tests.cluster import Database
from tests.window import Window


@pytest.mark.every_pair
def test_what_a_copied_table_has_lost_is_named(campaign: Database, target: Database) -> None:
    window = Window(campaign, target)
    window.begin()
    lineage.upgrade(target.settings, "campaign_db")
    # What Alembic does not compare: a lost one is seen all the same.
    target.execute("ALTER TABLE campaign_db.campaigns ADD CONSTRAINT named CHECK (name <> 'x')", user="consolidation")
    window.schema()
    window.fence("source", "closed")
    window.copy()
    with session(target.settings, "test") as conn:
        built = window.phases()["schema"].result["definitions"]
        assert definitions(conn, "campaign_db") == built
    assert len(built) > 30
    assert verify.apply(verify.plan(window.database), verify.Options())["faults"] == []

    target.execute(
        """
        SET search_path = campaign_db;
        ALTER TABLE chapters DROP CONSTRAINT pk_chapters;
        ALTER TABLE campaigns ALTER name TYPE varchar(255) COLLATE "C", ALTER state DROP DEFAULT, DROP CONSTRAINT named
        """,
        user="consolidation",
    )
    with pytest.raises(VerificationFailed) as raised:
        verify.apply(verify.plan(window.database), verify.Options())
    assert raised.value.facts["faults"] == [
        "constraint pk_chapters of chapters is not as before",
        "column name of campaigns is not as before",
        "column state of campaigns is not as before",
        "constraint named of campaigns is not as before",
    ]
    assert "constraint named of campaigns is not as before" in raised.value.message
    assert {entry["outcome"] for entry in raised.value.facts["tables"]} == {"equal"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("ALTER TABLE t ALTER a TYPE varchar(9)", ["column a of t"]),
        ("ALTER TABLE t ALTER a SET NOT NULL", ["column a of t", "constraint t_a_not_null of t"]),
        ("ALTER TABLE t ALTER a SET DEFAULT 'x'", ["column a of t"]),
        ('ALTER TABLE t ALTER a TYPE varchar(10) COLLATE "C"', ["column a of t"]),
        ("ALTER TABLE t DROP twice, ADD twice int GENERATED ALWAYS AS (id + 2) STORED", ["column twice of t"]),
        ("ALTER TABLE t ADD b int", ["column b of t"]),
        ("ALTER TABLE t DROP CONSTRAINT t_a_check", ["constraint t_a_check of t"]),
        ("ALTER TABLE t ADD CHECK (a <> 'y') NOT VALID", ["constraint t_a_check1 of t"]),
        ("ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES p NOT VALID", ["foreign key t_id_fkey of t"]),
        ("ALTER INDEX t_pkey SET (fillfactor = 50)", ["constraint t_pkey of t"]),
        ("ALTER INDEX t_pkey RENAME TO other", ["constraint other of t", "constraint t_pkey of t"]),
        ("CREATE INDEX ON t (a)", ["index t_a_idx of t"]),
        ("COMMENT ON COLUMN t.a IS 'x'", ["column a of t"]),
        ("CREATE SEQUENCE s", ["relation s"]),
        ("CREATE TABLE u ()", ["relation u"]),
        ("ALTER TABLE p DETACH PARTITION p_1", ["relation p_1"]),
        ("ALTER TABLE p_1 DROP CONSTRAINT own", ["constraint own of p_1"]),
    ],
)
def test_definitions_change_with_all_that_a_lineage_makes_and_with_nothing_else(
    target: Database, change: str, names: list[str]
) -> None:
    target.execute(
        "CREATE SCHEMA s; SET search_path = s;"
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(10) CHECK (a <> 'z'),"
        " twice int GENERATED ALWAYS AS (id * 2) STORED);"
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id);"
        "CREATE TABLE p_1 PARTITION OF p (CONSTRAINT own CHECK (id > 0)) FOR VALUES IN (1)"
    )
    with target.connection() as conn:
        before = definitions(conn, "s")
        execute(conn, "INSERT INTO s.t VALUES (1, 'b'); ANALYZE s.t")
        assert definitions(conn, "s") == before
        execute(conn, f"SET LOCAL search_path = s; {change}; SET LOCAL search_path = pg_catalog")
        after = definitions(conn, "s")
        conn.rollback()
    assert sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)) == names


def test_a_foreign_key_between_partitioned_tables_is_as_before_when_it_is_made_again(target: Database) -> None:
    """The server names its copies for partitions in the order in which it makes them."""
    target.execute(
        "CREATE SCHEMA s; SET search_path = s;"
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id);"
        "CREATE TABLE p_2 PARTITION OF p FOR VALUES IN (2);"
        "CREATE TABLE r (id int CONSTRAINT fk REFERENCES p) PARTITION BY LIST (id);"
        "CREATE TABLE r_1 (id int, CONSTRAINT fk CHECK (id = 1));"
        "ALTER TABLE r ATTACH PARTITION r_1 FOR VALUES IN (1);"
        "CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);"
        "ALTER TABLE r_1 RENAME CONSTRAINT fk TO taken"
    )
    with target.connection() as conn:
        before = definitions(conn, "s")
        execute(
            conn,
            "ALTER TABLE s.r DROP CONSTRAINT fk; ALTER TABLE s.r ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES s.p",
        )
        assert definitions(conn, "s") == before
        conn.rollback()
