# ruff: noqa: E501 - the SQL of a schema reads best on one line
"""What the schemas of real services have, taken as far as it has to be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from consolidation.preflight.findings import BLOCKER
from tests.cluster import Database
from tests.preflight_world import is_careful
from tests.service_schemas import NAME, Raw, Service, key, models, service


@pytest.fixture
def svc(
    make_source: Callable[[str], Database], target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Service:
    return service(make_source("svc"), target, tmp_path, monkeypatch)


def on(major: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("versions", [(major, major)], indirect=True, ids=[str(major)])


# --- Orphans: a row is called one only where its parent was looked for.


def orders(parent: str, *tables: str) -> sa.MetaData:
    """`orders` that refer to a table, and further tables with a key alone."""
    metadata = models(*((name, key()) for name in tables))
    schema, _, name = parent.rpartition(".")
    if schema != NAME:
        sa.Table(name, metadata, key(), schema=schema)
    sa.Table("orders", metadata, key(), sa.Column("user_id", sa.Integer, sa.ForeignKey(f"{parent}.id")))
    return metadata


ELSEWHERE = (
    "CREATE SCHEMA identity; CREATE TABLE identity.users (id int PRIMARY KEY);"
    "CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES identity.users);"
    "INSERT INTO identity.users VALUES (1); INSERT INTO orders VALUES (1, 1), (2, 1), (3, NULL);"
)


@pytest.mark.parametrize("same_name", [False, True])
def test_a_parent_outside_the_lineage_is_not_checked(svc: Service, same_name: bool) -> None:
    svc.owner(ELSEWHERE + "CREATE TABLE users (id int PRIMARY KEY);" * same_name)
    svc.lay("", orders("identity_db.users", *["users"] * same_name))
    assert [found.id for found in svc.found("data.")] == ["data.reference_unchecked"]


def test_a_parent_that_the_models_only_name_is_not_checked(svc: Service) -> None:
    svc.owner(ELSEWHERE)
    metadata = models(("orders", key(), sa.Column("user_id", sa.Integer, sa.ForeignKey("identity_db.users.id"))))
    svc.lay("", metadata)
    assert [found.id for found in svc.found("data.")] == ["data.reference_unchecked"]
    assert not svc.found("source.check")


def test_a_parent_that_stays_behind_makes_no_row_an_orphan_to_delete(svc: Service) -> None:
    svc.owner(
        "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE orders (id int PRIMARY KEY, user_id int);"
        "INSERT INTO users VALUES (1); INSERT INTO orders VALUES (1, 1), (2, 1);"
    )
    svc.lay("", orders(f"{NAME}.users", "users"))
    svc.tables = ("orders",)
    [found] = svc.found("data.")
    assert (found.id, found.severity) == ("data.orphan", BLOCKER)
    assert "DELETE" not in found.fix
    assert "consolidation_database.tables" in found.fix


@on(18)
def test_a_temporal_key_asks_for_cover_not_for_equality(svc: Service) -> None:
    table = "CREATE TABLE {} (r int4range, v tstzrange, PRIMARY KEY (r, v WITHOUT OVERLAPS){});"
    svc.owner(
        table.format("a", "") + table.format("b", ", FOREIGN KEY (r, PERIOD v) REFERENCES a (r, PERIOD v)")
        + "INSERT INTO a VALUES ('[1,2)', '[2026-01-01,2027-01-01)');"
        "INSERT INTO b VALUES ('[1,2)', '[2026-02-01,2026-03-01)')"
    )  # fmt: skip
    columns = [sa.Column("r", pg.INT4RANGE, primary_key=True), sa.Column("v", pg.TSTZRANGE, primary_key=True)]
    refer = sa.ForeignKeyConstraint(["r", "v"], [f"{NAME}.a.r", f"{NAME}.a.v"])
    svc.lay("", models(("a", *columns), ("b", *(column._copy() for column in columns), refer)))
    assert svc.found("data.") == []


@pytest.mark.parametrize(("is_full", "orphans"), [(False, 1), (True, 2)])
def test_a_key_of_two_columns_counts_what_it_would_refuse(svc: Service, is_full: bool, orphans: int) -> None:
    svc.owner(
        "CREATE TABLE a (x int, y int, PRIMARY KEY (x, y)); CREATE TABLE b (id int PRIMARY KEY, x int, y int);"
        "INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1, 1), (2, 1, NULL), (3, NULL, NULL), (4, 1, 2)"
    )
    match = "FULL" if is_full else None
    refer = sa.ForeignKeyConstraint(["x", "y"], [f"{NAME}.a.x", f"{NAME}.a.y"], match=match)
    a = [sa.Column(name, sa.Integer, primary_key=True, autoincrement=False) for name in "xy"]
    svc.lay("", models(("a", *a), ("b", key(), sa.Column("x", sa.Integer), sa.Column("y", sa.Integer), refer)))
    [found] = svc.found("data.")
    assert found.what.startswith(f"{orphans} row(s)")
    assert is_careful(found)


# --- Types: an extension's is the same one wherever it lies and however the models spell it.

EXTENSIONS = {
    "citext": ("15", "citext", ["CITEXT", "citext", "public.citext"], "'A'"),
    "hstore": ("15", "hstore", ["HSTORE", "hstore"], "'a=>1'"),
    "ltree": ("15", "ltree[]", ["LTREE[]", "public.ltree[]"], "'{a.b}'"),
    "vector": ("18", "vector(3)", ["VECTOR(3)", "public.vector(3)"], "'[1,2,3]'"),
}


@pytest.mark.parametrize(
    ("name", "versions"), [(n, (int(v), int(v))) for n, (v, *_) in EXTENSIONS.items()], ids=str, indirect=["versions"]
)
@pytest.mark.parametrize("schema", ["public", "extensions"])
def test_types_of_extensions_are_carried(svc: Service, name: str, schema: str) -> None:
    _, column, spellings, value = EXTENSIONS[name]
    svc.source.execute(f"CREATE EXTENSION {name}")
    svc.target.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION {name} SCHEMA {schema}")
    svc.target.execute(f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
    tables = [f"t{number}" for number in range(len(spellings))]
    svc.owner(
        "".join(
            f"CREATE TABLE {t} (id int PRIMARY KEY, v {column}); INSERT INTO {t} VALUES (1, {value});" for t in tables
        )
    )
    ddl = "".join(f"CREATE TABLE {NAME}.{t} (id int PRIMARY KEY, v {schema}.{column});" for t in tables)
    spelt = zip(tables, spellings, strict=True)
    svc.lay(ddl, models(*((t, key(), sa.Column("v", Raw(spelling))) for t, spelling in spelt)))
    assert svc.blockers() == set()
    assert svc.found("schema.column") == []
    svc.migrate()


def test_an_enum_of_another_schema_is_the_lineages(svc: Service) -> None:
    svc.owner(
        "CREATE SCHEMA app; CREATE TYPE public.mood AS ENUM ('sad', 'ok'); CREATE TABLE app.t (id int PRIMARY KEY, m public.mood[], n public.mood)"
    )
    svc.source_schema = "app"
    svc.owner("INSERT INTO app.t VALUES (1, '{ok}', 'sad')")
    svc.source.execute("GRANT USAGE ON SCHEMA app TO svc_app, consolidation; GRANT ALL ON app.t TO svc_app")
    ddl = f"CREATE TYPE {NAME}.mood AS ENUM ('sad', 'ok'); CREATE TABLE {NAME}.t (id int PRIMARY KEY, m {NAME}.mood[], n {NAME}.mood)"
    mood = pg.ENUM("sad", "ok", name="mood", schema=NAME)
    svc.lay(ddl, models(("t", key(), sa.Column("m", pg.ARRAY(mood)), sa.Column("n", mood))))
    assert svc.blockers() == set()
    svc.migrate()


def test_an_enum_of_another_schema_must_have_its_labels(svc: Service) -> None:
    svc.owner(
        "CREATE SCHEMA app; CREATE TYPE public.mood AS ENUM ('sad', 'ok'); CREATE TABLE app.t (id int PRIMARY KEY, m public.mood[])"
    )
    svc.source_schema = "app"
    mood = pg.ENUM("ok", name="mood", schema=NAME)
    svc.lay("", models(("t", key(), sa.Column("m", pg.ARRAY(mood)))))
    [found] = svc.found("schema.enum")
    assert found.subject == "public.mood"
