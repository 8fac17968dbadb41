"""One side made equal to the other: only what differs is touched, nothing fires, and the authoritative side is safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest

from consolidation.errors import FenceError, StatementFailed, StepRefused, VerificationFailed
from consolidation.fence import phase as fence_phase
from consolidation.fence import trigger
from consolidation.fence.state import CLOSED
from consolidation.journal import records, runs
from consolidation.journal.phase import recorded
from consolidation.lineage import alembic as lineage
from consolidation.model import Database as Service
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute
from consolidation.rollback import exchange, reconcile, trial
from consolidation.verify import phase as verify
from tests.cluster import Database, digest_of_everything
from tests.modules import run_module

DDL = """
CREATE TABLE parents (id uuid PRIMARY KEY, name text UNIQUE NOT NULL, doc JSON_TYPE, amount numeric);
CREATE TABLE children (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id uuid REFERENCES parents ON DELETE CASCADE,
    friend_id integer REFERENCES children ON DELETE RESTRICT,
    note text,
    twice integer GENERATED ALWAYS AS (length(note) * 2) STORED);
COMMENT ON CONSTRAINT children_parent_id_fkey ON children IS 'it''s kept';
CREATE TABLE here (id integer PRIMARY KEY, there_id integer);
CREATE TABLE there (id integer PRIMARY KEY, here_id integer REFERENCES here ON UPDATE CASCADE);
ALTER TABLE here ADD FOREIGN KEY (there_id) REFERENCES there;
CREATE TABLE keyless (a text, b text);
CREATE TABLE shapeless ();
CREATE TABLE "Mixed ""case""
100%s {0}" ("select" text PRIMARY KEY, "Ä %s" bytea);
CREATE TABLE divided (id integer, v text) PARTITION BY LIST (v);
CREATE TABLE divided_a PARTITION OF divided FOR VALUES IN ('a');
CREATE TABLE divided_rest PARTITION OF divided DEFAULT;
CREATE TABLE untouched (id integer PRIMARY KEY);
"""

ROWS = """
INSERT INTO parents SELECT md5(n::text)::uuid, 'parent ' || n, ('{"n":   ' || n || '}')::json, n / 4.0
  FROM generate_series(1, 2000) n;
INSERT INTO children (parent_id, friend_id, note) SELECT md5(n::text)::uuid, nullif(n - 1, 0), 'note ' || n
  FROM generate_series(1, 2000) n;
INSERT INTO here VALUES (1, NULL);
INSERT INTO there VALUES (1, 1);
UPDATE here SET there_id = 1;
INSERT INTO keyless SELECT 'a' || n % 10, nullif(n % 7, 0)::text FROM generate_series(1, 200) n;
INSERT INTO shapeless DEFAULT VALUES;
INSERT INTO "Mixed ""case""
100%s {0}" VALUES ('', NULL), (E'\\n', '\\x00'), ('gone', '');
INSERT INTO divided SELECT n, CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 50) n;
INSERT INTO untouched VALUES (1);
"""

# What an application may do in the time after the cutover, and everything that makes the rollback hard.
WRITES = """
UPDATE parents SET doc = '{"n": 7, "new": [1.50, "\\u00e4", null]}' WHERE name = 'parent 7';
UPDATE parents SET name = name || '?' WHERE name IN ('parent 1', 'parent 2');
UPDATE parents SET name = CASE name WHEN 'parent 1?' THEN 'parent 2' ELSE 'parent 1' END WHERE name LIKE '%?';
INSERT INTO parents VALUES ('00000000-0000-0000-0000-00000000000a', 'new', NULL, 'NaN');
UPDATE children SET parent_id = '00000000-0000-0000-0000-00000000000a' WHERE note IN ('note 10', 'note 11');
DELETE FROM children WHERE note = 'note 2000';
UPDATE children SET friend_id = NULL WHERE note = 'note 12';
DELETE FROM parents WHERE name IN ('parent 10', 'parent 1999');
INSERT INTO parents SELECT gen_random_uuid(), 'parent 10', NULL, 1.10;
INSERT INTO children (parent_id, note) VALUES (NULL, E'tab\\t, quote '' and \\\\N'), (NULL, '');
UPDATE children SET note = NULL WHERE note = 'note 500';
INSERT INTO here VALUES (2, NULL);
INSERT INTO there VALUES (2, 2);
UPDATE here SET there_id = 2 WHERE id = 2;
DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless);
INSERT INTO keyless VALUES (NULL, NULL), (NULL, NULL), ('', NULL);
INSERT INTO shapeless DEFAULT VALUES;
UPDATE "Mixed ""case""
100%s {0}" SET "Ä %s" = '\\xdeadbeef' WHERE "select" = '';
DELETE FROM "Mixed ""case""
100%s {0}" WHERE "select" = 'gone';
UPDATE divided SET v = 'b' WHERE id = 2;
DELETE FROM divided WHERE id = 3;
"""

TRIGGERS = """
CREATE TABLE trace (id integer);
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO public.trace VALUES (1); IF tg_op = ''DELETE'' THEN RETURN OLD; END IF; RETURN NEW; END';
CREATE TRIGGER often BEFORE INSERT OR UPDATE OR DELETE ON parents FOR EACH ROW EXECUTE FUNCTION meddle();
CREATE TRIGGER always AFTER INSERT OR DELETE ON children FOR EACH ROW EXECUTE FUNCTION meddle();
ALTER TABLE children ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER off BEFORE INSERT ON children FOR EACH ROW EXECUTE FUNCTION meddle();
ALTER TABLE children DISABLE TRIGGER off;
CREATE TRIGGER parts BEFORE INSERT ON divided FOR EACH ROW EXECUTE FUNCTION meddle();
CREATE RULE also AS ON DELETE TO parents DO ALSO INSERT INTO public.trace VALUES (2);
CREATE RULE soft AS ON DELETE TO keyless DO INSTEAD UPDATE keyless SET a = 'deleted' WHERE keyless.b = OLD.b;
CREATE RULE part AS ON DELETE TO divided_rest DO INSTEAD NOTHING;
ALTER TABLE divided_rest ENABLE ALWAYS RULE part;
CREATE RULE silent AS ON DELETE TO children DO INSTEAD NOTHING;
ALTER TABLE children DISABLE RULE silent;
"""

DEFINITIONS = """
SELECT con.conrelid::regclass::text, con.conname, pg_get_constraintdef(con.oid),
       obj_description(con.oid, 'pg_constraint')
  FROM pg_constraint con JOIN pg_namespace n ON n.oid = con.connamespace WHERE n.nspname IN ('public', 'campaign_db')
UNION ALL
SELECT t.tgrelid::regclass::text, t.tgname, t.tgenabled::text, '' FROM pg_trigger t WHERE NOT t.tgisinternal
UNION ALL
SELECT r.ev_class::regclass::text, r.rulename, r.ev_enabled::text, '' FROM pg_rewrite r WHERE r.rulename <> '_RETURN'
 ORDER BY 1, 2, 3
"""


@dataclass
class Window:
    """A service in the state after a cutover."""

    service: Service
    source: Database
    target: Database
    run: records.Run

    def write(self, statements: str) -> None:
        self.target.execute("SET search_path = campaign_db;" + statements, user="consolidation")

    def state(self, state: str) -> None:
        with session(self.service.target, "test") as conn:
            runs.finish(conn, self.run, state)

    def cut_over(self) -> None:
        with recorded(self.service, "copy") as work:
            copied = work.result["copy_id"] = "a copy"
        with recorded(self.service, "verify") as work:
            work.result.update(outcome="equal", fence_epoch=self.phase("fence").result["fence_epoch"], copy_id=copied)
        with recorded(self.service, "cutover"):
            pass

    def phase(self, name: str) -> records.PhaseRecord:
        with session(self.service.target, "test") as conn:
            return records.phases(conn, self.run)[name]

    def close(self, side: str) -> None:
        if side == "source":
            fence_phase.apply(fence_phase.plan(self.service, side, CLOSED), 10)
        else:
            with session(self.service.target, "test") as conn:
                trigger.close_side(conn, self.service.target_side, 10)

    def equal(self) -> bool:
        return verify.compare(self.service, verify.Options()).comparison.outcome == "equal"


def fill(database: Database, schema_name: str, json_type: str, **who: str) -> None:
    database.execute(f"SET search_path = {schema_name};" + (DDL + ROWS).replace("JSON_TYPE", json_type), **who)


@pytest.fixture
def window(source: Database, target: Database) -> Window:
    """campaign -> campaign_db, alike on both sides; the source is fenced, a run is under way."""
    fill(source, "public", "json", role="campaign_owner")
    target.execute("CREATE SCHEMA campaign_db", user="consolidation")
    fill(target, "campaign_db", "jsonb", user="consolidation")
    tables = (
        "parents",
        "children",
        "here",
        "there",
        "keyless",
        "shapeless",
        'Mixed "case"\n100%s {0}',
        "divided",
        "untouched",
    )
    service = Service("campaign_db", source.settings, "public", tables, target.settings)
    lineage.upgrade(service.target, "journal")
    with session(service.target, "test") as conn:
        run, _ = runs.begin(conn, service.name, {"host": "h", "pid": 1, "started": "s"}, None, rollback=False)
    found = Window(service, source, target, run)
    found.close("source")
    return found


@pytest.fixture
def rolling_back(window: Window) -> Window:
    """After the cutover the application has written to the target; then a rollback has fenced it."""
    window.cut_over()
    window.write(WRITES)
    window.state(records.ROLLING_BACK)
    window.close("target")
    return window


@pytest.mark.every_pair
def test_the_writes_made_since_the_cutover_come_back(rolling_back: Window) -> None:
    window = rolling_back
    window.source.execute("SET search_path = public;" + TRIGGERS, role="campaign_owner")
    before = window.source.rows(DEFINITIONS)
    untouched = window.source.rows("SELECT ctid, doc::text FROM parents WHERE name IN ('parent 100', 'parent 1500')")

    plan = reconcile.plan(window.service, "source")
    assert plan.changed
    figures = {change.pair.source.name: (change.inserted, change.updated, change.deleted) for change in plan.changes}
    assert figures == {
        "parents": (2, 3, 2),
        "children": (2, 4, 2),
        "here": (1, 0, 0),
        "there": (1, 0, 0),
        "keyless": (3, 0, 1),
        "shapeless": (1, 0, 0),
        'Mixed "case"\n100%s {0}': (0, 1, 1),
        "divided": (1, 0, 2),
    }
    assert "public.parents: insert 2, update 3, delete 2" in plan.diff()["prepared"]
    assert not window.equal()

    result = reconcile.apply(plan)
    assert window.equal()
    assert result["run_id"] == window.run.id
    assert {"name": "parents", "inserted": 2, "updated": 3, "deleted": 2} in result["tables"]
    assert result["sequences"] == ["children_id_seq"]
    assert window.phase("reconcile").result["to"] == "source"
    assert window.source.value("SELECT doc->>'new' FROM parents WHERE name = 'parent 7'") == '[1.50, "ä", null]'
    assert window.source.rows(DEFINITIONS) == before
    assert window.source.value("SELECT count(*) FROM trace") == 0
    kept = window.source.rows("SELECT ctid, doc::text FROM parents WHERE name IN ('parent 100', 'parent 1500')")
    assert kept == untouched
    assert kept[0][1] == '{"n":   100}'
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.source.execute("DELETE FROM parents", user="campaign_app")

    again = reconcile.plan(window.service, "source")
    assert not again.changed
    assert reconcile.apply(again)["tables"] == []


def test_new_rows_of_the_source_after_the_rollback_meet_no_used_number(rolling_back: Window) -> None:
    reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    fence_phase.apply(fence_phase.plan(rolling_back.service, "source", "open", rollback=True), 10)
    rolling_back.source.execute("INSERT INTO children (note) VALUES ('after')", user="campaign_app")
    assert rolling_back.source.value("SELECT id FROM children WHERE note = 'after'") == 2003


def test_a_sequence_that_only_the_source_has_goes_on_after_the_rows(rolling_back: Window) -> None:
    rolling_back.target.execute("ALTER TABLE campaign_db.children ALTER id DROP IDENTITY")
    plan = reconcile.plan(rolling_back.service, "source")
    assert "sequence children_id_seq: 2000 -> 2002" in plan.diff()["prepared"]
    reconcile.apply(plan)
    assert rolling_back.source.value("SELECT nextval('children_id_seq')") == 2003
    assert not reconcile.plan(rolling_back.service, "source").changed


def test_a_source_that_lacks_rows_does_not_open_before_all_else(rolling_back: Window) -> None:
    early = fence_phase.plan(rolling_back.service, "source", "open", rollback=True, early=True)
    assert not early.changed
    assert "when its rows are back" in fence_phase.apply(early, 10)["msg"]
    reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    assert not fence_phase.plan(rolling_back.service, "source", "open", rollback=True, early=True).changed
    assert fence_phase.plan(rolling_back.service, "source", "open", rollback=True).changed


def test_a_source_that_was_opened_again_is_not_touched(rolling_back: Window) -> None:
    reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    fence_phase.apply(fence_phase.plan(rolling_back.service, "source", "open", rollback=True), 10)
    rolling_back.source.execute("DELETE FROM keyless", user="campaign_app")
    plan = reconcile.plan(rolling_back.service, "source")
    assert not plan.changed
    assert "opened it since" in plan.diff()["prepared"]
    reconcile.apply(plan)
    assert rolling_back.source.value("SELECT count(*) FROM keyless") == 0


def test_writes_of_a_source_that_was_open_after_the_cutover_are_not_deleted(rolling_back: Window) -> None:
    """Abandoned, or opened by hand: now both sides have newer rows, and no one but their owner knows which to keep."""
    side = rolling_back.service.source_side
    with session(side.settings, "test") as conn:
        trigger.open_side(conn, side, 10)
    rolling_back.source.execute("INSERT INTO keyless VALUES ('newer')", user="campaign_app")
    with session(side.settings, "test") as conn:
        trigger.close_side(conn, side, 10)
    with pytest.raises(StepRefused, match="was open to writers after the cutover"):
        reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    assert rolling_back.source.value("SELECT count(*) FROM keyless") == 201


def test_an_open_fence_is_refused(window: Window) -> None:
    window.cut_over()
    window.write(WRITES)
    window.state(records.ROLLING_BACK)
    plan = reconcile.plan(window.service, "source")
    assert plan.changed  # check mode before the fence is closed: figures of the moment
    with pytest.raises(StepRefused, match="not fenced"):
        reconcile.apply(plan)
    window.close("target")
    with pytest.raises(StepRefused, match="not fenced"):
        reconcile.apply(plan)  # compared while rows could still change


@pytest.mark.parametrize(
    ("to", "cut_over", "state", "words"),
    [
        ("source", False, records.MIGRATING, "has not opened the target"),
        ("source", False, records.ROLLING_BACK, "has not opened the target"),
        ("source", True, records.MIGRATING, "not being rolled back"),
        ("target", True, records.MIGRATING, "must not be overwritten"),
        ("target", True, records.ROLLING_BACK, "is being rolled back"),
        ("target", False, records.ROLLING_BACK, "is being rolled back"),
    ],
)
def test_the_authoritative_side_is_never_overwritten(
    window: Window, to: str, cut_over: bool, state: str, words: str
) -> None:
    if cut_over:
        window.cut_over()
    window.write("DELETE FROM keyless")
    window.close("target")
    window.state(state)
    try:
        said = reconcile.apply(reconcile.plan(window.service, to))["msg"]
    except StepRefused as refused:
        said = refused.message
    assert words in said
    assert window.source.value("SELECT count(*) FROM keyless") == 200
    assert window.target.value("SELECT count(*) FROM campaign_db.keyless") == 0


def test_a_copy_is_repaired_before_the_cutover(window: Window) -> None:
    window.write("UPDATE parents SET amount = amount + 1 WHERE name LIKE '%0'; DELETE FROM children WHERE id > 1990;")
    window.write("SELECT setval('children_id_seq', 5)")
    window.close("target")
    plan = reconcile.plan(window.service, "target")
    assert "campaign_db.children: insert 10, update 0, delete 0" in plan.diff()["prepared"]
    assert "sequence children_id_seq: 5 -> 2000" in plan.diff()["prepared"]
    reconcile.apply(plan)
    assert window.equal()


def spoil(rolling_back: Window, monkeypatch: pytest.MonkeyPatch, then: Callable[[Any], None]) -> None:
    """Have something happen on the receiving side after the rows were exchanged."""
    honest = exchange._verify

    def verify(origin: Any, destination: Any, *rest: Any) -> None:
        then(destination)
        honest(origin, destination, *rest)

    monkeypatch.setattr(exchange, "_verify", verify)


def test_a_result_that_is_not_equal_is_taken_back(rolling_back: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rolling_back.source.rows(DEFINITIONS)
    damage = "UPDATE public.parents SET amount = 1.10001 WHERE name = 'parent 55'"
    spoil(rolling_back, monkeypatch, lambda destination: execute(destination, damage))
    with pytest.raises(VerificationFailed, match="not equal"):
        reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    assert rolling_back.source.value("SELECT amount FROM parents WHERE name = 'parent 55'") == 13.75
    assert rolling_back.source.value("SELECT count(*) FROM parents WHERE name = 'new'") == 0
    assert rolling_back.source.rows(DEFINITIONS) == before
    assert rolling_back.phase("reconcile").state == "failed"


def test_it_is_done_again_after_the_backend_was_killed(rolling_back: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rolling_back.source.rows(DEFINITIONS)
    kill = "SELECT pg_terminate_backend(pg_backend_pid())"
    spoil(rolling_back, monkeypatch, lambda destination: execute(destination, kill))
    with pytest.raises(StatementFailed):
        reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    monkeypatch.undo()
    assert rolling_back.source.rows(DEFINITIONS) == before
    reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    assert rolling_back.equal()


@pytest.mark.parametrize(("place", "counting"), [("untouched", "on"), ("untouched", "off"), ("elsewhere", "on")])
def test_rows_that_appear_where_nothing_differs_are_taken_back(
    rolling_back: Window, monkeypatch: pytest.MonkeyPatch, place: str, counting: str
) -> None:
    """The proof covers all tables, also those that were equal before; without the server's counters by digests."""
    source = rolling_back.source
    source.execute(f"ALTER DATABASE campaign SET track_counts = {counting}; CREATE TABLE elsewhere (id integer)")
    source.execute("GRANT ALL ON elsewhere TO consolidation")
    spoil(rolling_back, monkeypatch, lambda destination: execute(destination, f"INSERT INTO public.{place} VALUES (2)"))
    with pytest.raises(VerificationFailed, match=place):
        reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    assert source.value(f"SELECT count(*) FROM {place} WHERE id = 2") == 0


def test_rows_of_other_tables_are_not_cascaded_away(rolling_back: Window) -> None:
    rolling_back.source.execute(
        "CREATE TABLE outside (parent_id uuid REFERENCES parents ON DELETE CASCADE);"
        "INSERT INTO outside SELECT id FROM parents WHERE name IN ('parent 7', 'parent 1999')",
        role="campaign_owner",
    )
    with pytest.raises(StepRefused, match=r"public\.outside, constraint outside_parent_id_fkey: 1 row "):
        reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    assert rolling_back.source.value("SELECT count(*) FROM outside") == 2
    rolling_back.source.execute(
        "DELETE FROM outside WHERE parent_id = (SELECT id FROM parents WHERE name = 'parent 1999')",
        role="campaign_owner",
    )
    reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    assert rolling_back.source.value("SELECT count(*) FROM outside") == 1
    assert rolling_back.equal()


def test_a_reader_in_the_way_is_not_waited_for_without_end(
    rolling_back: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LOCK_SECONDS", 0.1)
    with rolling_back.source.connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT FROM parents LIMIT 1")
        for attempt in (
            lambda: trial.look(rolling_back.service),
            lambda: reconcile.apply(reconcile.plan(rolling_back.service, "source")),
        ):
            with pytest.raises(FenceError, match=r"in the way: pid \d+, user postgres"):
                attempt()
    reconcile.apply(reconcile.plan(rolling_back.service, "source"))
    assert rolling_back.equal()


def test_a_table_without_counterpart_is_an_error(window: Window) -> None:
    window.write("DROP TABLE untouched")
    with pytest.raises(VerificationFailed, match="not on both sides: untouched"):
        reconcile.plan(window.service, "target")


def test_rows_that_the_source_has_no_table_for_are_never_left_behind(window: Window) -> None:
    window.write("CREATE TABLE since (secret text); CREATE TABLE empty (); CREATE TABLE alembic_version (v text)")
    window.write("INSERT INTO since VALUES ('hush'); INSERT INTO alembic_version VALUES ('1')")
    assert not trial.look(window.service)  # the target is not authoritative
    window.cut_over()
    window.state(records.MIGRATED)
    for look in (lambda: trial.look(window.service), lambda: reconcile.plan(window.service, "source")):
        with pytest.raises(
            StepRefused, match=r"no counterpart among the source's tables: campaign_db\.since\n"
        ) as raised:
            look()
        assert "hush" not in str(raised.value)
    window.state(records.ROLLING_BACK)
    window.close("target")
    window.write("SET consolidation.pass = 'on'; TRUNCATE since")
    assert trial.look(window.service)
    reconcile.apply(reconcile.plan(window.service, "source"))
    fence_phase.apply(fence_phase.plan(window.service, "source", "open", rollback=True), 10)
    window.write("SET consolidation.pass = 'on'; INSERT INTO since VALUES ('again')")
    assert not trial.look(window.service)  # the source is authoritative again


def test_a_column_added_since_the_cutover_is_found_before_anything_is_closed(window: Window) -> None:
    window.cut_over()
    window.state(records.MIGRATED)
    assert trial.look(window.service)
    window.write("ALTER TABLE keyless ADD COLUMN c text")
    with pytest.raises(VerificationFailed, match=r"column c is missing in public\.keyless"):
        trial.look(window.service)


def test_the_module_says_what_it_would_change_and_then_does_it_once(
    rolling_back: Window, capsys: pytest.CaptureFixture[str]
) -> None:
    service = rolling_back.service
    database = {
        "name": service.name,
        "source": service.source.keywords(),
        "tables": list(service.tables),
        "target": service.target.keywords(),
    }
    given = {"database": database, "run_id": rolling_back.run.id, "to": "source"}
    before = digest_of_everything(rolling_back.source.server), digest_of_everything(rolling_back.target.server)
    planned = run_module(capsys, "pg_reconcile", True, given)
    assert planned["changed"]
    assert "public.children: insert 2, update 4, delete 2" in planned["diff"]["prepared"]
    assert (
        digest_of_everything(rolling_back.source.server),
        digest_of_everything(rolling_back.target.server),
    ) == before

    done = run_module(capsys, "pg_reconcile", False, given)
    assert (done["changed"], done["run_id"]) == (True, rolling_back.run.id)
    assert rolling_back.equal()
    assert not run_module(capsys, "pg_reconcile", False, given)["changed"]
    assert run_module(capsys, "pg_reconcile_info", True, {"database": database})["needed"]
