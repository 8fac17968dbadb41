# ruff: noqa: E501 - the SQL of a schema reads best on one line
"""What the schemas of real services have, taken as far as it has to be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from consolidation.errors import StepRefused
from consolidation.preflight.findings import BLOCKER
from consolidation.schema import built
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
    assert svc.blockers() <= {"source.backup.extension"}
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


# --- Models: what they may have and may lack.


def test_names_that_need_quotes_partitions_and_an_extensions_tables(svc: Service) -> None:
    made = (
        'CREATE TYPE {s}"Mood" AS ENUM (\'ok\'); CREATE SEQUENCE {s}"No";'
        'CREATE TABLE {s}"User" (id int PRIMARY KEY, "Mood" {s}"Mood", n int DEFAULT nextval(\'{s}"No"\'));'
        "CREATE TABLE {s}e (at date PRIMARY KEY, v text) PARTITION BY RANGE (at);"
        "CREATE TABLE {s}e_26 PARTITION OF {s}e FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"
        "CREATE TABLE {s}refers (id int PRIMARY KEY, at date REFERENCES {s}e);"
    )
    svc.owner(
        made.format(s="") + "INSERT INTO e VALUES ('2026-02-02', 'x'); INSERT INTO refers VALUES (1, '2026-02-02');"
    )
    svc.source.execute(
        "CREATE EXTENSION vector; CREATE TABLE known (id int PRIMARY KEY); ALTER EXTENSION vector ADD TABLE known; CREATE SEQUENCE counted; ALTER EXTENSION vector ADD SEQUENCE counted"
    )

    def metadata(*more: tuple[Any, ...]) -> sa.MetaData:
        mood, number = pg.ENUM("ok", name="Mood", schema=NAME), sa.text("""nextval('"No"'::regclass)""")
        user = ("User", key(), sa.Column("Mood", mood), sa.Column("n", sa.Integer, server_default=number))
        root = ("e", sa.Column("at", sa.Date, primary_key=True), sa.Column("v", sa.Text))
        return models(user, root, ("refers", key(), sa.Column("at", sa.Date, sa.ForeignKey(f"{NAME}.e.at"))), *more)

    svc.lay(made.format(s=f"{NAME}."), metadata())
    kinds = {found.id for found in svc.findings() if found.id.startswith(("schema.", "source.object", "source.table"))}
    assert kinds == {"source.object.announced", "source.object.default_privileges"}
    # The same with the partition in the models.
    leaf = ("e_26", sa.Column("at", sa.Date, primary_key=True), sa.Column("v", sa.Text))
    svc.lay(made.format(s=f"{NAME}."), metadata(leaf))
    assert svc.blockers() == set()
    assert svc.found("schema.table") == []
    svc.migrate()


def test_models_without_a_type_are_named(svc: Service) -> None:
    svc.owner("CREATE TABLE t (id int PRIMARY KEY, p point, q int, r int)")
    columns = [sa.Column("p", sa.types.NullType()), sa.Column("q", Raw("no such ( type")), sa.Column("r", sa.Integer)]
    svc.lay("", models(("t", key(), *columns)))
    assert {found.subject for found in svc.found("schema.column.no_type")} == {"public.t.p", "public.t.q"}
    assert svc.blockers() == {"schema.column.no_type"}


def test_no_fix_makes_the_runbook_a_superuser(svc: Service) -> None:
    svc.source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    svc.lay("", models(("t", key())))
    fixes = {found.id: found.fix for found in svc.findings(application_roles=["postgres"]) if "role.cannot" in found.id}
    assert "source.role.cannot_fence" in fixes
    assert "source.role.cannot_probe" in fixes
    assert not [fix for fix in fixes.values() if 'GRANT "postgres"' in fix]
    svc.source.execute(fixes["source.role.cannot_fence"])
    assert "source.role.cannot_fence" not in {found.id for found in svc.findings()}


# --- The built target: what would stop the run behind the fence is refused before it.

T = "CREATE TABLE {s}t (id int PRIMARY KEY, n text, p int); CREATE TABLE {s}log (t_id int, what text);"
ROWS = "INSERT INTO t SELECT g, 'n' || g FROM generate_series(1, 5) g;"
STATEMENT = (
    "CREATE FUNCTION {s}f() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO log SELECT id, TG_OP FROM gone; RETURN NULL; END';"
    "CREATE TRIGGER tr AFTER DELETE ON {s}t REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION {s}f();"
)
ROW = (
    "CREATE FUNCTION {s}f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE TRIGGER tr BEFORE INSERT ON {s}t FOR EACH ROW EXECUTE FUNCTION {s}f();"
)
PARTITIONS = (
    "CREATE TABLE {s}e (at date PRIMARY KEY) PARTITION BY RANGE (at);"
    "CREATE TABLE {s}e_26 PARTITION OF {s}e FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"
)
FORCED = "ALTER TABLE {s}t ENABLE ROW LEVEL SECURITY; ALTER TABLE {s}t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON {s}t USING (true);"
NOT_VALID = "ALTER TABLE {s}t ADD CONSTRAINT t_fk FOREIGN KEY (p) REFERENCES {s}t NOT VALID;"
CHECK = "ALTER TABLE {s}t ADD CONSTRAINT t_ck CHECK (p > 0) NOT VALID;"


def t_models() -> sa.MetaData:
    return models(
        ("t", key(), sa.Column("n", sa.Text), sa.Column("p", sa.Integer)),
        ("log", sa.Column("t_id", sa.Integer), sa.Column("what", sa.Text)),
        ("e", sa.Column("at", sa.Date, primary_key=True)),
    )


# Beside T: on the source, in the lineage -> what the refusal says, and what makes it pass on the target.
REFUSED = {
    "not_valid": ("", CHECK, "t_ck of t is not validated", "ALTER TABLE {s}t VALIDATE CONSTRAINT t_ck"),
    "disabled": (ROW, ROW + "ALTER TABLE {s}t DISABLE TRIGGER tr;", "trigger tr of t is disabled", "ALTER TABLE {s}t ENABLE TRIGGER tr"),
    "partition": ("CREATE TABLE e_27 PARTITION OF e FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');", "", "partition public.e_27", "CREATE TABLE {s}e_27 PARTITION OF {s}e FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"),
    "default_partition": ("CREATE TABLE e_x PARTITION OF e DEFAULT;", "", "partition public.e_x", "CREATE TABLE {s}e_x PARTITION OF {s}e DEFAULT"),
    "row_security": ("", FORCED, "row security of svc_db.t", "ALTER ROLE consolidation BYPASSRLS"),
    "statement_trigger": ("", STATEMENT, "storage_service cannot DELETE svc_db.t", "ALTER ROLE storage_service SET search_path = svc_db, public"),
    "right": ("", "CREATE FUNCTION {s}f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM pg_authid; RETURN NULL; END'; CREATE TRIGGER tr BEFORE UPDATE ON {s}t EXECUTE FUNCTION {s}f();", "storage_service cannot UPDATE svc_db.t", "DROP TRIGGER tr ON {s}t"),
    "partition_elsewhere": ("", "CREATE SCHEMA apart; CREATE TABLE apart.e_28 PARTITION OF {s}e FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');", "storage_service cannot DELETE apart.e_28", "GRANT USAGE ON SCHEMA apart TO storage_service; GRANT SELECT, INSERT, UPDATE, DELETE ON apart.e_28 TO storage_service"),
    "function": ("CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1';", "DO $$ BEGIN /* CREATE FUNCTION made() */ END $$;", "function public.made()", "CREATE FUNCTION {s}made() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    "view": ("CREATE VIEW v AS SELECT id FROM t;", "DO $$ BEGIN /* CREATE VIEW v */ END $$;", "view public.v", "CREATE VIEW {s}v AS SELECT id FROM {s}t"),
    "trigger": (ROW, ROW + "DROP TRIGGER tr ON {s}t;", "trigger tr on public.t", "CREATE TRIGGER tr BEFORE INSERT ON {s}t FOR EACH ROW EXECUTE FUNCTION {s}f()"),
    "policy": ("CREATE POLICY p ON t USING (true);", "CREATE POLICY p ON {s}t USING (true); DROP POLICY p ON {s}t;", "policy p on public.t", "CREATE POLICY p ON {s}t USING (true)"),
    "check": ("ALTER TABLE t ADD CONSTRAINT ck CHECK (p > 0);", "ALTER TABLE {s}t ADD CONSTRAINT ck CHECK (p > 0); ALTER TABLE {s}t DROP CONSTRAINT ck;", "check constraint public.t.ck", "ALTER TABLE {s}t ADD CONSTRAINT ck CHECK (p > 0)"),
    "row_function": ("", "CREATE FUNCTION {s}f(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'; REVOKE EXECUTE ON FUNCTION {s}f(int) FROM PUBLIC; ALTER TABLE {s}t ADD CONSTRAINT t_ck CHECK ({s}f(p));", "storage_service cannot write svc_db.t: new rows use what the role may not use: function svc_db.f(integer)", "GRANT EXECUTE ON FUNCTION {s}f(int) TO storage_service"),
    "no_policy": ("", "ALTER TABLE {s}t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {s}t FOR SELECT USING (true);", "storage_service cannot write svc_db.t: row security has no policy that lets", "CREATE POLICY q ON {s}t TO storage_service USING (true)"),
    "unlogged": ("", "ALTER TABLE {s}t SET UNLOGGED;", "svc_db.t is unlogged, public.t is not", "ALTER TABLE {s}t SET LOGGED"),
    "unlogged_partition": ("", "CREATE UNLOGGED TABLE {s}e_28 PARTITION OF {s}e FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');", "svc_db.e is unlogged, public.e is not", "ALTER TABLE {s}e_28 SET LOGGED"),
    "type": ("ALTER TABLE t ADD q circle;", "ALTER TABLE {s}t ADD q point;", "column q of public.t is circle on one side and point", "ALTER TABLE {s}t DROP q, ADD q circle"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_stop_the_run_behind_the_fence_is_refused_before_it(svc: Service, name: str) -> None:
    source, lineage_ddl, said, cure = REFUSED[name]
    svc.owner((T + PARTITIONS + source).format(s="") + ROWS)
    metadata = t_models()
    if name == "type":
        metadata.tables[f"{NAME}.t"].append_column(sa.Column("q", Raw("circle")))
    svc.lay((T + PARTITIONS + lineage_ddl).format(s=f"{NAME}."), metadata)
    window = svc.window
    window.begin()
    with pytest.raises(StepRefused, match="behind the fence") as refused:
        window.schema()
    assert said in str(refused.value)
    assert len(refused.value.facts["faults"]) == 1
    svc.target.execute(f"SET ROLE consolidation; {cure.format(s=f'{NAME}.')}" if "ALTER ROLE" not in cure else cure)
    window.schema()


def test_a_trigger_that_only_the_service_can_run_stops_nothing(svc: Service) -> None:
    """Its names are found by the service's search_path: the runbook's own role cannot fire it, and need not."""
    svc.owner((T + PARTITIONS + STATEMENT).format(s="") + ROWS)
    svc.lay((T + PARTITIONS + STATEMENT).format(s=f"{NAME}."), t_models())
    svc.target.execute(f"ALTER ROLE storage_service SET search_path = {NAME}, public")
    svc.migrate()
    svc.target.execute(f"DELETE FROM {NAME}.t WHERE id = 1", user="storage_service")
    assert svc.target.rows(f"SELECT * FROM {NAME}.log") == [(1, "DELETE")]


def test_what_stays_behind_by_decision_stops_nothing(svc: Service) -> None:
    functions = "".join(
        f"CREATE FUNCTION report_{number}(int[]) RETURNS int LANGUAGE sql AS 'SELECT 1';" for number in range(3)
    )
    svc.owner((T + PARTITIONS).format(s="") + functions + "CREATE VIEW v AS SELECT id FROM t;")
    svc.lay((T + PARTITIONS).format(s=f"{NAME}."), t_models())
    assert svc.blockers() == {"source.object.function", "source.object.view"}
    svc.accepted = ("source.object.function public.report_*", "source.object.view public.v")
    assert {found.id for found in svc.findings(*svc.accepted) if found.severity == BLOCKER} == set()
    window = svc.window
    window.begin()
    window.schema()
    window.accepted = [svc.accepted[0], "source.object.view public.w", "source.object.function *v"]
    with pytest.raises(StepRefused, match=r"view public\.v of the source"):
        built.require(window.database, tuple(window.accepted))


def test_what_the_target_has_needs_no_acceptance(svc: Service) -> None:
    made = T + PARTITIONS + ROW + (
        "CREATE VIEW {s}v AS SELECT id, n FROM {s}t; CREATE POLICY p ON {s}t USING (p > 0);"
        "CREATE FUNCTION {s}g(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE MATERIALIZED VIEW {s}m AS SELECT id FROM {s}t; CREATE SEQUENCE {s}sq;"
        "ALTER TABLE {s}t ADD CONSTRAINT ck CHECK (p > 0); ALTER TABLE {s}t ADD CONSTRAINT ex EXCLUDE USING btree (n WITH =);"
        "CREATE TYPE {s}pair AS (a int, b int); CREATE DOMAIN {s}positive AS int CHECK (value > 0);"
        "CREATE RULE r AS ON UPDATE TO {s}log DO ALSO NOTHING;"
    )  # fmt: skip
    svc.owner(made.format(s=""))
    metadata = t_models()
    svc.lay(made.format(s=f"{NAME}."), metadata)
    assert [f"{found.id} {found.subject}" for found in svc.findings() if found.severity == BLOCKER] == []
    [announced] = svc.found("source.object.announced")
    assert announced.what.startswith("13 object(s)")
    window = svc.window
    window.begin()
    window.schema()
    assert built.look(window.database).notes == ()
    assert {found.id for found in svc.found("source.object")} == {"source.object.default_privileges"}
    svc.target.execute(f"CREATE OR REPLACE FUNCTION {NAME}.g(int) RETURNS int LANGUAGE sql AS 'SELECT 2'")
    [differs] = svc.found("source.object.differs")
    assert (differs.id, differs.subject) == ("source.object.differs", "public.g(integer)")
    assert built.look(window.database).notes == (
        "function public.g(integer) is defined differently in the target: compare the two",
    )


ALIKE = {
    "foreign_key_not_valid": NOT_VALID,
    "check_not_valid": CHECK,
    "disabled_trigger": ROW + "ALTER TABLE {s}t DISABLE TRIGGER tr;",
    "view_on_key": "CREATE VIEW {s}v AS SELECT id, n, count(*) FROM {s}t GROUP BY id;",
    "function_on_key": "CREATE FUNCTION {s}g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM (SELECT id, n FROM {s}t GROUP BY id) x; END;",
    "materialized_view_on_unique": "ALTER TABLE {s}t ADD UNIQUE (n); CREATE MATERIALIZED VIEW {s}v AS SELECT id, n FROM {s}t GROUP BY id;",
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_what_both_sides_have_alike_is_carried(svc: Service, name: str) -> None:
    svc.owner((T + PARTITIONS + ALIKE[name]).format(s="") + ROWS)
    metadata = t_models()
    table = metadata.tables[f"{NAME}.t"]
    if "UNIQUE" in ALIKE[name]:
        table.append_constraint(sa.UniqueConstraint("n", name="t_n_key"))
    if name == "foreign_key_not_valid":
        table.append_constraint(sa.ForeignKeyConstraint(["p"], [f"{NAME}.t.id"], name="t_fk"))
    svc.lay((T + PARTITIONS + ALIKE[name]).format(s=f"{NAME}."), metadata)
    assert svc.blockers() == set()
    assert bool(svc.found("source.not_in_force")) == ("NOT VALID" in ALIKE[name] or "DISABLE" in ALIKE[name])
    svc.migrate()


@on(18)
def test_not_null_that_is_not_valid(svc: Service) -> None:
    svc.owner((T + PARTITIONS).format(s="") + "ALTER TABLE t ADD CONSTRAINT nn NOT NULL n NOT VALID;")
    metadata = t_models()
    metadata.tables[f"{NAME}.t"].c.n.nullable = False
    svc.lay(
        (T + PARTITIONS + "ALTER TABLE {s}t ADD CONSTRAINT nn NOT NULL n NOT VALID;").format(s=f"{NAME}."), metadata
    )
    svc.window.begin()
    svc.window.schema()
    svc.owner("ALTER TABLE t VALIDATE CONSTRAINT nn")
    with pytest.raises(StepRefused, match="nn of t is not validated, on the target only"):
        built.require(svc.window.database)


def test_forced_row_security_is_foretold_for_the_target(svc: Service) -> None:
    svc.owner((T + PARTITIONS + FORCED).format(s=""))
    svc.source.execute("ALTER ROLE consolidation BYPASSRLS")
    svc.lay((T + PARTITIONS + FORCED).format(s=f"{NAME}."), t_models())
    [found] = svc.found("target.role.row_security")
    svc.target.execute(found.fix)
    assert svc.found("target.role.row_security") == []
    svc.migrate()
