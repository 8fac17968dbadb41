"""A rollback that cannot succeed is refused before the target is closed: table, column, constraint, number of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from consolidation.errors import StatementFailed, StepRefused
from consolidation.fence import state as fence
from consolidation.journal import records
from consolidation.rollback import reconcile, trial
from consolidation.verify import phase as verify
from tests.cluster import Cluster, Database, digest_of_everything
from tests.window import Window

ROWS = "INSERT INTO parents SELECT n, 'p' || n FROM generate_series(1, 5) n;" + "".join(
    f"INSERT INTO {table} (id, parent_id) SELECT n, n FROM generate_series(1, 5) n;" for table in ("things", "parts")
)
TARGET = """
CREATE TABLE parents (id integer PRIMARY KEY, name text);
CREATE TABLE things (id bigint PRIMARY KEY, parent_id integer, number numeric(12, 2), note text,
                     at timestamp, doc json, mood MOOD, tag TAG, "odd ""100%s" text);
CREATE TABLE parts (id bigint GENERATED ALWAYS AS IDENTITY, parent_id integer);
CREATE TABLE days (id integer, day integer) PARTITION BY LIST (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1); CREATE TABLE days_other PARTITION OF days DEFAULT;
"""
SOURCE = """
CREATE TABLE parents (id integer PRIMARY KEY, name text);
CREATE TABLE things (id integer PRIMARY KEY, parent_id integer, number numeric(12, 2), note varchar(10),
                     at timestamp(3), doc jsonb, mood MOOD, tag TAG, "odd ""100%s" text DEFAULT 'x' NOT NULL);
CREATE TABLE parts (id integer GENERATED ALWAYS AS IDENTITY, parent_id integer);
CREATE TABLE days (id integer, day integer) PARTITION BY LIST (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1);
"""


@dataclass
class Case:
    """What the source demands and the target does not; the write after the cutover; what the look says."""

    ddl: str
    write: str
    said: str


CASES = {
    "narrower number": Case("", "UPDATE things SET id = id + 3000000000 WHERE id > 3", "things, column id: 2 rows"),
    "shorter string": Case(
        "", "UPDATE things SET note = repeat('secret', 9) WHERE id = 3", "things, column note: 1 row (the value does"
    ),
    "rounded without an error": Case(
        "",
        "UPDATE things SET at = '2026-01-01 00:00:00.1234' WHERE id < 4",
        "column at: 3 rows (type timestamp(3) without time zone would change the value",
    ),
    "NOT NULL": Case(
        "", "INSERT INTO things (id) VALUES (6), (7), (8)", 'column odd "100%s: 3 rows (NULL, and the column'
    ),
    "json that jsonb refuses": Case(
        "", r"""UPDATE things SET doc = '{"a": "\u0000"}' WHERE id = 1""", "column doc: 1 row"
    ),
    "label of an enum": Case("", "UPDATE things SET mood = 'new' WHERE id < 3", "column mood: 2 rows"),
    "domain": Case("", "UPDATE things SET tag = 'secret' WHERE id < 3", "column tag, constraint tag_check: 2 rows"),
    "unique": Case(
        "CREATE UNIQUE INDEX one ON things (note)", "UPDATE things SET note = 'same'", "constraint one: 4 rows"
    ),
    "unique by an expression and a condition": Case(
        "CREATE UNIQUE INDEX one ON things (lower(note)) WHERE id > 2",
        "UPDATE things SET note = CASE id % 2 WHEN 0 THEN 'a' ELSE 'A' END",
        "constraint one: 2 rows",
    ),
    "deferred unique": Case(
        "ALTER TABLE things ADD CONSTRAINT one UNIQUE (note) DEFERRABLE INITIALLY DEFERRED",
        "UPDATE things SET note = 'same'",
        "constraint one: 4 rows (not unique",
    ),
    "longer than an index takes": Case(
        'CREATE INDEX plain ON things ("odd ""100%s")',
        """UPDATE things SET "odd ""100%s" = (SELECT string_agg(md5(g::text || things.id), '')
           FROM generate_series(1, 400) g) WHERE id < 3""",
        "things: 2 rows (a value is longer than an index",
    ),
    "exclusion": Case(
        "ALTER TABLE things ADD CONSTRAINT apart EXCLUDE USING gist (int4range(parent_id, parent_id + 1) WITH &&)",
        "UPDATE things SET parent_id = 1",
        "constraint apart: 4 rows",
    ),
    "check": Case(
        "ALTER TABLE things ADD CONSTRAINT positive CHECK (number > 0)",
        "UPDATE things SET number = -1 WHERE id <= 2",
        "constraint positive: 2 rows (violates it",
    ),
    "row that fits no partition": Case("", "INSERT INTO days VALUES (1, 7), (2, 1)", "days: 1 row (no partition takes"),
    "foreign key": Case(
        "ALTER TABLE things ADD CONSTRAINT parent FOREIGN KEY (parent_id) REFERENCES parents",
        "UPDATE things SET parent_id = 99 WHERE id > 2",
        "constraint parent: 3 rows (no row to refer to",
    ),
    "row that another table outside still needs": Case(
        "CREATE SCHEMA outside AUTHORIZATION campaign_owner; SET ROLE campaign_owner;"
        "CREATE TABLE outside.orders (p integer CONSTRAINT needs REFERENCES parents);"
        "INSERT INTO outside.orders VALUES (1), (1)",
        "DELETE FROM parents WHERE id = 1",
        "table outside.orders, constraint needs: 2 rows",
    ),
    "sequence that ends sooner": Case(
        "",
        "SELECT setval('parts_id_seq', 3000000000)",
        "of the source holds 1 to 2147483647, the target's is at 3000000000",
    ),
}


@pytest.fixture
def window(cluster: Cluster, source: Database, target: Database) -> Window:
    """A run at its beginning; the target's tables are looser than the source's."""
    window = Window(source, target)
    cluster.prepared("looser", (source, target), lambda: begin(window))
    return window


def begin(window: Window) -> None:
    types = "CREATE TYPE mood AS ENUM ('old'{0}); CREATE DOMAIN tag AS text {1};"
    window.source.execute(
        types.format("", "CHECK (VALUE <> 'secret')")
        + SOURCE.replace("MOOD", "mood").replace("TAG", "tag")
        + ROWS.replace(
            "INSERT INTO parts (id, parent_id)", "INSERT INTO parts (id, parent_id) OVERRIDING SYSTEM VALUE"
        ),
        role="campaign_owner",
    )
    window.begin()
    schema = "campaign_db."
    ddl = types.format(", 'new'", "").replace("TYPE ", f"TYPE {schema}").replace("DOMAIN ", f"DOMAIN {schema}")
    window.own_schema(ddl + TARGET.replace("MOOD", f"{schema}mood").replace("TAG", f"{schema}tag"))


def cut_over(window: Window) -> None:
    window.fence("source", "closed")
    window.copy()
    verify.apply(verify.plan(window.database), verify.Options())
    window.cutover()
    window.end(records.MIGRATED)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_rows_that_the_source_does_not_take_are_found_while_the_target_is_open(window: Window, case: Case) -> None:
    if case.ddl:
        window.source.execute(f"SET search_path = public; {case.ddl}")
    cut_over(window)
    assert trial.look(window.database)
    window.target.execute(f"SET search_path = campaign_db; {case.write}", user="consolidation")
    before = digest_of_everything(window.source.server), digest_of_everything(window.target.server)
    with pytest.raises(StepRefused) as raised:
        trial.look(window.database)
    assert case.said in raised.value.message
    assert "secret" not in str(raised.value)
    assert "rollback.yml --check" in raised.value.hint
    assert (digest_of_everything(window.source.server), digest_of_everything(window.target.server)) == before


@pytest.mark.parametrize(
    "since",
    [
        "ALTER TABLE things OWNER TO postgres; GRANT ALL ON things TO consolidation, campaign_owner",
        "CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';"
        "CREATE EVENT TRIGGER watch ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION watched()",
    ],
    ids=["owner", "event trigger"],
)
def test_a_source_that_would_not_open_is_found_while_the_target_is_open(window: Window, since: str) -> None:
    cut_over(window)
    assert trial.look(window.database)
    window.source.execute(since)
    with pytest.raises(StatementFailed, match=f"^{window.source.settings}: "):
        trial.look(window.database)


def test_another_role_than_the_role_of_the_fence_is_told_so(window: Window) -> None:
    """As after the runbook's login was renewed under another name: only who closed it passes."""
    cut_over(window)
    window.target.execute("UPDATE campaign_db.parents SET name = 'since' WHERE id = 1", user="consolidation")
    other = replace(window.database, source=window.source.as_role("postgres"))
    with pytest.raises(StatementFailed, match=fence.TRIGGER) as raised:
        trial.look(other)
    assert "name the role that closed this fence" in raised.value.hint


def test_all_reasons_are_named_at_once(window: Window) -> None:
    cut_over(window)
    for name in ("narrower number", "shorter string", "NOT NULL"):
        window.target.execute(f"SET search_path = campaign_db; {CASES[name].write}", user="consolidation")
    with pytest.raises(StepRefused) as raised:
        trial.look(window.database)
    assert {(each["column"], each["rows"]) for each in raised.value.facts["refusals"]} == {
        ("id", 2),
        ("note", 1),
        ('odd "100%s', 3),
    }


def test_rows_that_the_source_takes_after_its_owner_has_dropped_what_refused_them(window: Window) -> None:
    """The ways on that the message names."""
    window.source.execute(f"SET search_path = public; {CASES['unique'].ddl}", role="campaign_owner")
    cut_over(window)
    for name in ("narrower number", "unique", "NOT NULL"):
        window.target.execute("SET search_path = campaign_db;" + CASES[name].write, user="consolidation")
    with pytest.raises(StepRefused, match="column id: 2 rows"):
        trial.look(window.database)
    window.target.execute("UPDATE campaign_db.things SET id = id - 3000000000 WHERE id > 3000000000")
    with pytest.raises(StepRefused, match="constraint one"):
        trial.look(window.database)
    window.source.execute(
        """DROP INDEX one; ALTER TABLE things ALTER "odd ""100%s" DROP NOT NULL""", role="campaign_owner"
    )
    assert trial.look(window.database)
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    reconcile.apply(reconcile.plan(window.database, "source"))
    assert window.source.value("SELECT count(*) FROM things WHERE note = 'same'") == 5


def test_a_write_between_the_look_and_the_closing_is_named_as_well(window: Window) -> None:
    cut_over(window)
    assert trial.look(window.database)
    window.target.execute("SET search_path = campaign_db;" + CASES["unique"].write, user="consolidation")
    window.target.execute("UPDATE campaign_db.things SET note = repeat('x', 11)", user="consolidation")
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    with pytest.raises(StepRefused, match=r"column note: 5 rows") as raised:
        reconcile.apply(reconcile.plan(window.database, "source"))
    assert "playbooks/cancel_rollback.yml" in raised.value.hint


def test_a_rule_of_the_source_does_not_stand_in_the_way(window: Window) -> None:
    window.source.execute(
        "SET search_path = public; CREATE RULE soft AS ON DELETE TO things DO INSTEAD"
        " UPDATE things SET note = 'deleted' WHERE id = OLD.id",
        role="campaign_owner",
    )
    cut_over(window)
    window.target.execute("DELETE FROM campaign_db.things WHERE id > 2", user="consolidation")
    assert trial.look(window.database)
    window.begin(records.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    reconcile.apply(reconcile.plan(window.database, "source"))
    assert window.source.value("SELECT count(*) FROM things") == 2
    assert window.source.value("SELECT ev_enabled FROM pg_rewrite WHERE rulename = 'soft'") == "O"
