"""Lineages with features that the project's own do not have, and values that only some servers refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, REGCLASS

from consolidation.preflight import phase as preflight
from consolidation.preflight.findings import BLOCKER, INFO, WARNING
from tests.cluster import Database
from tests.preflight_world import World, assert_found, blockers, create

# Text of a json value -> whether jsonb refuses it.
JSON_TEXTS = {
    '{"a": "\\u0000"}': True,
    '{"a": "\\\\\\u0000"}': True,
    '{"a": "\\\\u0000"}': False,
    '["\\ud83d\\ude00", null, "\'"]': False,
    '"\\ud83d"': True,
    '"\\ude00\\ud83d"': True,
}


@pytest.fixture
def world(source: Database, target: Database, tmp_path: Path) -> World:
    return create(source, target, tmp_path)


@pytest.mark.every_pair
def test_json_that_jsonb_refuses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = sa.MetaData(schema="campaign_db")
    key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
    sa.Table("notes", metadata, key, sa.Column("body", JSONB))
    monkeypatch.setattr(preflight, "lineage_metadata", lambda _name: metadata)
    world.owner("CREATE TABLE notes (id int PRIMARY KEY, body json); INSERT INTO notes VALUES (1, NULL), (2, NULL)")
    world.database = replace(world.database, tables=("notes",))
    for text, refused in JSON_TEXTS.items():
        world.source.execute("UPDATE notes SET body = %s WHERE id = 2", [text])
        report = world.report()
        assert blockers(report.findings) == ({"data.not_jsonb"} if refused else set()), text
        assert text not in str(report.as_result())


def own_lineage() -> sa.MetaData:
    """Features that the lineages of the project do not have."""
    metadata = sa.MetaData(schema="campaign_db")
    mood = sa.Enum("sad", "ok", name="mood", metadata=metadata)
    sa.Table(
        "people",
        metadata,
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("upper", sa.Text, sa.Computed("upper(name)", persisted=True)),
        sa.Column("score", sa.Numeric(12, 2)),
        sa.Column("mood", mood),
        sa.Column("number", sa.BigInteger, sa.Sequence("numbers")),
        sa.UniqueConstraint("name"),
        sa.CheckConstraint("score % 2 = 0", name="even"),
        sa.Index("people_lower", sa.text("lower(name)")),
    )
    return metadata


PEOPLE = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE SEQUENCE numbers;
CREATE TABLE people (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name varchar(20) NOT NULL UNIQUE,
    upper text GENERATED ALWAYS AS (upper(name)) STORED,
    score numeric(12, 2) CONSTRAINT even CHECK (score % 2 = 0),
    mood mood,
    number bigint
);
CREATE INDEX people_lower ON people (lower(name));
INSERT INTO people (name, score) VALUES ('a', 2), ('b', NULL);
"""

OWN: list[tuple[str, str, str, str]] = [
    ("schema.column.numbering", INFO, "int GENERATED ALWAYS AS IDENTITY", "serial"),
    ("schema.column.expression", WARNING, "(upper(name))", "(upper(name) || '')"),
    ("schema.column.widened", WARNING, "numeric(12, 2)", "numeric(10, 2)"),
    ("schema.column.type", BLOCKER, "numeric(12, 2)", "numeric(12, 1)"),
    ("schema.unique.stricter", INFO, " UNIQUE", ""),
    ("data.duplicate", BLOCKER, "NOT NULL UNIQUE", "NOT NULL DEFAULT 'a'"),
    ("schema.check.stricter", INFO, " CONSTRAINT even CHECK (score % 2 = 0)", ""),
    ("data.check_violated", BLOCKER, " CONSTRAINT even CHECK (score % 2 = 0)", " DEFAULT 1"),
    ("schema.enum.looser", WARNING, "('sad', 'ok')", "('sad')"),
    ("schema.enum.labels", BLOCKER, "'ok')", "'ok', 'it''s ''new''')"),
]


@pytest.mark.parametrize("case", OWN, ids=lambda case: case[0])
def test_other_features_of_a_lineage(
    world: World, monkeypatch: pytest.MonkeyPatch, case: tuple[str, str, str, str]
) -> None:
    kind, severity, old, new = case
    assert old in PEOPLE
    monkeypatch.setattr(preflight, "lineage_metadata", lambda _name: own_lineage())
    world.database = replace(world.database, tables=("people",))
    world.owner("DROP TABLE campaigns, chapters; " + PEOPLE)
    assert not [found.id for found in world.report().findings if found.id.startswith(("schema.", "data."))]
    world.owner("DROP TABLE people; DROP TYPE mood; DROP SEQUENCE numbers; " + PEOPLE.replace(old, new))
    if kind == "data.duplicate":
        world.source.execute("INSERT INTO people DEFAULT VALUES")
    if kind == "data.check_violated":
        world.source.execute("INSERT INTO people (name) VALUES ('c')")
    assert_found(world, kind, severity, set())


def test_a_partitioned_table_that_no_revision_makes_can_be_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = sa.MetaData(schema="campaign_db")
    key = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
    sa.Table("parted", metadata, key, postgresql_partition_by="RANGE (id)")
    monkeypatch.setattr(preflight, "lineage_metadata", lambda _name: metadata)
    world.database = replace(world.database, tables=("parted",))
    world.owner("CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    world.owner("CREATE TABLE part PARTITION OF parted DEFAULT; INSERT INTO parted VALUES (1)")
    [found] = [finding for finding in world.report().findings if finding.severity == BLOCKER]
    assert (found.id, found.subject) == ("source.object.partitioned_table", "public.parted")
    assert found.what.startswith("partitioned table without a counterpart in the lineage; a row")
    accepted = found.fix.split("'")[1]
    world.options = replace(world.options, accepted=(accepted,))
    assert blockers(world.report().findings) == set()


def test_what_cannot_be_carried_is_refused_with_the_fix(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = sa.MetaData(schema="campaign_db")
    sa.Table(
        "uses", metadata, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False), sa.Column("v", REGCLASS)
    )
    monkeypatch.setattr(preflight, "lineage_metadata", lambda _name: metadata)
    world.database = replace(world.database, tables=("uses",))
    world.owner("CREATE TABLE uses (id int PRIMARY KEY, v regclass); INSERT INTO uses VALUES (1, 'uses')")
    world.source.execute("SELECT lo_create(0)")
    found = {finding.id: finding for finding in world.report().findings if finding.severity == BLOCKER}
    assert found.keys() == {"source.object.large_object", "schema.column.object_identifier"}
    assert "1 large objects" in found["source.object.large_object"].what
    assert "store them as bytea in a table first" in found["source.object.large_object"].fix
    assert "lo_unlink" not in found["source.object.large_object"].fix
    accepted = [line for line in found["schema.column.object_identifier"].fix.split("'") if " " in line][-1]
    assert accepted == "schema.column.object_identifier public.uses.v"
