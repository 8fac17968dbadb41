"""Both sides compared on real servers: equal passes, different is named, not compared never passes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.compare import row_hash as rowsum
from consolidation.compare.digest import Digest, table_digest
from consolidation.errors import StepRefused, VerificationFailed
from consolidation.fence import phase as fence_phase
from consolidation.fence import state as fence
from consolidation.fence import trigger
from consolidation.journal import records, runs
from consolidation.journal.phase import recorded
from consolidation.lineage import alembic as lineage
from consolidation.model import Database as Service
from consolidation.postgres.catalog import read_tables
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute
from consolidation.verify import phase as verify
from consolidation.verify import selftest
from tests.cluster import Database
from tests.modules import run_module

ODD = 'Odd "name"\n100%s {0}'
ODD_NAME = '"' + ODD.replace('"', '""') + '"'

DDL = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE parents (id uuid PRIMARY KEY, name varchar(40) UNIQUE, doc JSON_TYPE, at timestamptz, ratio float8);
CREATE TABLE children (id serial PRIMARY KEY, parent_id uuid REFERENCES parents, feeling mood, blob bytea,
                       twice integer GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE keyless (a text, b text);
CREATE TABLE empty (id integer GENERATED ALWAYS AS IDENTITY);
CREATE TABLE ODD_NAME (ODD_NAME text, "select" int, PRIMARY KEY (ODD_NAME, "select"));
CREATE TABLE divided (id integer PRIMARY KEY, v text) PARTITION BY HASH (id);
CREATE TABLE divided_0 PARTITION OF divided FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE divided_1 PARTITION OF divided FOR VALUES WITH (MODULUS 2, REMAINDER 1);
"""

ROWS = """
INSERT INTO parents
SELECT md5(n::text)::uuid, 'parent ' || n, ('{"n": ' || n || ', "a":   [1.0, null]}')::JSON_TYPE,
       timestamptz '2026-10-25 00:30:00+00' + n * interval '1 second',
       CASE n % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0'::float8 ELSE n END
  FROM generate_series(1, 3000) n;
INSERT INTO children (parent_id, feeling, blob)
SELECT md5((n % 3000 + 1)::text)::uuid, 'happy', decode(md5(n::text), 'hex')
  FROM generate_series(1, 5000) n;
INSERT INTO keyless SELECT 'a' || n % 10, nullif(n % 7, 0)::text FROM generate_series(1, 200) n;
INSERT INTO ODD_NAME VALUES ('', 1), (E'\\n', 2), ('ä"', 3);
INSERT INTO divided SELECT n, 'v' || n FROM generate_series(1, 100) n;
"""


def fill(database: Database, schema_name: str, json_type: str, **who: str) -> None:
    statements = (DDL + ROWS).replace("JSON_TYPE", json_type).replace("ODD_NAME", ODD_NAME)
    database.execute(f"SET search_path = {schema_name};" + statements, **who)


@pytest.fixture
def service(source: Database, target: Database) -> Service:
    """campaign -> campaign_db, filled alike on both sides; what is json there is jsonb here."""
    fill(source, "public", "json", role="campaign_owner")
    target.execute("CREATE SCHEMA campaign_db", user="consolidation")
    fill(target, "campaign_db", "jsonb", user="consolidation")
    return Service("campaign_db", source.settings, "public", (), target.settings)


def outcomes(result: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["outcome"] for entry in result["tables"]}


def failure(service: Service) -> VerificationFailed:
    with pytest.raises(VerificationFailed) as raised:
        verify.check(service, verify.Options(max_keys=3))
    return raised.value


def damage(target: Database, *statements: str) -> None:
    target.execute("SET search_path = campaign_db; " + "; ".join(statements), user="consolidation")


@pytest.mark.every_pair
def test_equal_sides_pass(service: Service) -> None:
    result = verify.check(service, verify.Options())
    assert result["outcome"] == "equal"
    rows = {entry["name"]: (entry["source_rows"], entry["target_rows"]) for entry in result["tables"]}
    assert rows == {
        "parents": (3000, 3000),
        "children": (5000, 5000),
        "keyless": (200, 200),
        "empty": (0, 0),
        ODD: (3, 3),
        "divided": (100, 100),
    }
    assert {entry["name"]: entry["outcome"] for entry in result["sequences"]} == {
        "children_id_seq": "equal",
        "empty_id_seq": "equal",
    }
    assert result["self_test"]["seen"] == len(selftest.DAMAGES)
    json.dumps(result)


def test_missing_extra_and_different_rows_are_named_by_key(service: Service, target: Database) -> None:
    damage(
        target,
        "DELETE FROM children WHERE id IN (17, 18)",
        "UPDATE children SET blob = NULL WHERE id BETWEEN 20 AND 29",
        "INSERT INTO children (id) VALUES (9001)",
        f'UPDATE {ODD_NAME} SET "select" = 7 WHERE "select" = 2',
        "DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless)",
        "INSERT INTO keyless VALUES (NULL, ''), (NULL, '')",
        "UPDATE divided SET v = 'v1 ' WHERE id = 1",
    )
    error = failure(service)
    assert outcomes(error.facts) == {
        "parents": "equal",
        "children": "different",
        "keyless": "different",
        "empty": "equal",
        ODD: "different",
        "divided": "different",
    }
    assert error.facts["outcome"] == "different"
    found = {entry["name"]: entry["differences"] for entry in error.facts["tables"] if entry["differences"]}
    children = found["children"]
    assert (children["missing"], children["extra"], children["different"]) == (2, 1, 10)
    assert children["complete"] is True
    assert sorted(key["id"] for key in children["keys"]["missing"]) == ["17", "18"]
    assert children["keys"]["extra"] == [{"id": "9001"}]
    assert len(children["keys"]["different"]) == 3
    assert {int(key["id"]) for key in children["keys"]["different"]} <= set(range(20, 30))
    assert found[ODD]["keys"]["missing"] == [{ODD: "\n", "select": "2"}]
    assert found[ODD]["keys"]["extra"] == [{ODD: "\n", "select": "7"}]
    assert (found["keyless"]["missing"], found["keyless"]["extra"], found["keyless"]["keys"]["missing"]) == (1, 2, [])
    assert found["divided"]["keys"]["different"] == [{"id": "1"}]
    assert "table children different (2 missing, 1 extra, 10 different)" in error.message
    assert "9001" not in str(error)
    assert "repair.yml" in error.hint


def test_what_could_not_be_compared_is_told_from_what_differs(
    service: Service, source: Database, target: Database
) -> None:
    damage(
        target,
        "DROP TABLE empty",
        "ALTER TABLE keyless ALTER a TYPE integer USING 1",
        "CREATE TABLE lonely (x integer)",
        "CREATE TABLE hermit (x integer)",
        "INSERT INTO hermit VALUES (1)",
    )
    target.execute("ALTER TABLE campaign_db.divided OWNER TO storage_owner")
    source.execute("INSERT INTO parents (id, doc) VALUES (gen_random_uuid(), '\"\\u0000\"')", role="campaign_owner")
    error = failure(service)
    assert outcomes(error.facts) == {
        "parents": "could_not_compare",  # \u0000 does not become jsonb
        "children": "equal",
        "keyless": "could_not_compare",
        "empty": "could_not_compare",
        ODD: "equal",
        "divided": "could_not_compare",
        "lonely": "equal",
        "hermit": "different",
    }
    reasons = {entry["name"]: entry["reason"] for entry in error.facts["tables"]}
    assert "22P05" in reasons["parents"]
    assert "is text on one side and integer on the other" in reasons["keyless"]
    assert reasons["empty"] == "no such table in the target"
    assert "permission denied for table divided (SQLSTATE 42501)" in reasons["divided"]
    assert "table empty could not be compared (no such table in the target)" in error.message


def test_only_things_not_compared_are_a_failure_too(service: Service, target: Database) -> None:
    damage(target, "DROP TABLE empty")
    error = failure(service)
    assert error.facts["outcome"] == "could_not_compare"
    assert "repair.yml" not in error.hint


def test_tables_asked_for_and_not_there(service: Service) -> None:
    asked = Service(service.name, service.source, "public", ("keyless", "nowhere"), service.target)
    error = failure(asked)
    assert outcomes(error.facts)["nowhere"] == "could_not_compare"
    empty = Service("nowhere", service.source, "nowhere", (), service.target)
    assert "the source has no tables" in failure(empty).message


def test_a_sequence_behind_and_one_that_is_missing(service: Service, source: Database, target: Database) -> None:
    damage(target, "SELECT setval('children_id_seq', 4999)")
    source.execute("CREATE SEQUENCE own START 5", role="campaign_owner")
    error = failure(service)
    found = {entry["name"]: entry for entry in error.facts["sequences"]}
    assert (found["children_id_seq"]["outcome"], found["own"]["outcome"]) == ("different", "could_not_compare")
    assert "sequence children_id_seq different (the target's sequence is behind)" in error.message
    damage(target, "SELECT setval('children_id_seq', 10000)", "CREATE SEQUENCE own START 5")
    assert verify.check(service, verify.Options())["outcome"] == "equal"


def test_constraints_and_triggers_out_of_force_are_faults(service: Service, target: Database) -> None:
    damage(
        target,
        "ALTER TABLE children DROP CONSTRAINT children_parent_id_fkey",
        "ALTER TABLE children ADD CONSTRAINT later FOREIGN KEY (parent_id) REFERENCES parents NOT VALID",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER quiet BEFORE INSERT ON parents FOR EACH ROW EXECUTE FUNCTION f()",
        "ALTER TABLE parents DISABLE TRIGGER quiet",
        "CREATE INDEX half ON ONLY divided (v)",
        "CREATE TRIGGER still BEFORE INSERT ON divided_1 FOR EACH ROW EXECUTE FUNCTION f()",
        "ALTER TABLE divided_1 DISABLE TRIGGER still",
        "ALTER TABLE divided_0 ADD CONSTRAINT once CHECK (v <> '') NOT VALID",
    )
    error = failure(service)
    assert error.facts["faults"] == [
        "constraint later of children is not validated",
        "constraint once of divided_0 is not validated",
        "index half of divided is not valid",
        "trigger quiet of parents is disabled",
        "trigger still of divided_1 is disabled",
    ]
    assert error.facts["outcome"] == "different"


def test_a_hidden_row_is_not_taken_for_equality(service: Service, target: Database) -> None:
    damage(
        target,
        "DELETE FROM keyless WHERE a = 'a1'",
        "ALTER TABLE keyless ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE keyless FORCE ROW LEVEL SECURITY",
        "CREATE POLICY partly ON keyless USING (a <> 'a1')",
    )
    assert outcomes(failure(service).facts)["keyless"] == "could_not_compare"


def test_a_verifier_that_is_blind_is_found_out(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def count_only(*arguments: Any) -> Digest:
        return Digest(honest(*arguments).rows, (0, 0))

    honest = selftest.table_digest
    monkeypatch.setattr(selftest, "table_digest", count_only)
    error = failure(service)
    assert "not trustworthy here" in error.message
    assert "values swapped between rows (SQL digest)" in error.message
    assert "a lost row (" not in error.message
    assert "(row hash" not in error.message


def test_a_row_hash_that_is_blind_is_found_out(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowsum, "xxh3_128_intdigest", lambda _: 7)
    error = failure(service)
    assert "not trustworthy here" in error.message
    for form in ("binary", "text"):
        assert f"values swapped between rows (row hash, {form})" in error.message
    assert "(SQL digest)" not in error.message


def test_a_row_hash_that_calls_all_different_is_found_out(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count()
    monkeypatch.setattr(rowsum, "xxh3_128_intdigest", lambda _: next(numbers))
    error = failure(service)
    assert (
        "that equal tables are equal (row hash, binary), that equal tables are equal (row hash, text)" in error.message
    )


def test_a_role_that_cannot_test_the_verifier_stops_the_run(service: Service, target: Database) -> None:
    target.execute("REVOKE TEMPORARY ON DATABASE storage FROM consolidation")
    error = failure(service)
    assert "could not test itself" in error.message
    assert "TEMPORARY" in error.hint


def test_a_server_that_dies_meanwhile_is_no_missing_right(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_: Connection, target: Connection) -> list[str]:
        target.cursor().execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return []

    monkeypatch.setattr(selftest, "_unseen", die)
    error = failure(service)
    assert "could not test itself" in error.message
    assert "TEMPORARY" not in error.hint


def begin(service: Service) -> records.Run:
    lineage.upgrade(service.target, "journal")
    with session(service.target, "test") as conn:
        run, _ = runs.begin(conn, service.name, {"host": "h", "pid": 1, "started": "s"}, None, rollback=False)
    return run


def options(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "source": service.source.keywords(),
        "tables": list(service.tables),
        "target": service.target.keywords(),
    }


@pytest.fixture
def call_module(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    return lambda name, *, check=False, **given: run_module(capsys, name, check, given)


def close(service: Service) -> None:
    for side in ("source", "target"):
        fence_phase.apply(fence_phase.plan(service, side, fence.CLOSED), 10)
    with session(service.target, "test") as conn:
        trigger.close_side(conn, service.target_side, 10)  # as the copy ends


def record(service: Service) -> records.PhaseRecord:
    with session(service.target, "test") as conn:
        return records.phases(conn, records.current_run(conn, service.name, "migrating", "migrated"))["verify"]


def test_the_phase_keeps_its_result_and_needs_both_fences(service: Service, target: Database) -> None:
    run = begin(service)
    plan = verify.plan(service)
    assert plan.changed
    assert "public.children with its copy in campaign_db" in plan.diff()["prepared"]
    with pytest.raises(StepRefused, match="the source is not fenced"):
        verify.apply(plan, verify.Options())
    assert record(service).state == "failed"
    close(service)
    result = verify.apply(plan, verify.Options())
    assert (result["outcome"], result["run_id"]) == ("equal", run.id)
    assert (record(service).state, record(service).result["outcome"]) == ("done", "equal")

    damage(target, "SET consolidation.pass = 'on'", "DELETE FROM keyless")
    with pytest.raises(VerificationFailed, match="table keyless different"):
        verify.apply(verify.plan(service), verify.Options())
    kept = record(service)
    assert (kept.state, kept.result["outcome"]) == ("failed", "different")
    assert outcomes(kept.result)["keyless"] == "different"


def test_after_the_cutover_the_result_stands(service: Service, target: Database) -> None:
    run = begin(service)
    close(service)
    verify.apply(verify.plan(service), verify.Options())
    with session(service.target, "test") as conn:
        runs.finish(conn, run, records.MIGRATED)
    damage(target, "SET consolidation.pass = 'on'", "DELETE FROM keyless")
    plan = verify.plan(service)
    assert not plan.changed
    result = verify.apply(plan, verify.Options())
    assert (result["outcome"], result["run_id"]) == ("equal", run.id)
    assert "has migrated campaign_db already" in result["msg"]


def test_a_cutover_that_was_cut_off_does_not_verify_again(service: Service, target: Database) -> None:
    begin(service)
    close(service)
    verify.apply(verify.plan(service), verify.Options())
    with recorded(service, "cutover"):
        pass
    damage(target, "SET consolidation.pass = 'on'", "DELETE FROM keyless")
    assert not verify.plan(service).changed


def test_the_plan_of_the_next_run_does_not_rest_on_the_last_one(service: Service) -> None:
    run = begin(service)
    close(service)
    verify.apply(verify.plan(service), verify.Options())
    with session(service.target, "test") as conn:
        runs.finish(conn, run, records.ROLLED_BACK)
    assert verify.plan(service).changed


def test_the_module_says_what_it_would_compare_and_then_does(
    service: Service, target: Database, call_module: Callable[..., dict[str, Any]]
) -> None:
    run = begin(service)
    close(service)
    database = options(service)
    planned = call_module("pg_verify_info", check=True, database=database, record=True)
    assert (planned["changed"], "tables" in planned) == (True, False)
    assert "public.parents with its copy in campaign_db: about " in planned["diff"]["prepared"]
    with session(service.target, "test") as conn:
        assert "verify" not in records.phases(conn, run)

    result = call_module("pg_verify_info", database=database, record=True, run_id=run.id)
    assert (result["changed"], result["outcome"], result["run_id"]) == (True, "equal", run.id)
    assert record(service).state == "done"

    damage(target, "SET consolidation.pass = 'on'", "DELETE FROM keyless")
    failed = call_module("pg_verify_info", database=database, recheck_seconds=0)
    assert failed["failed"]
    assert "Next: " in failed["msg"]
    assert outcomes(failed)["keyless"] == "different"
    assert record(service).result["outcome"] == "equal"  # without `record`, nothing is kept


@pytest.fixture
def moved(target: Database) -> Service:
    """Tables of the storage database itself, moved from the schema `old` behind their fence."""
    target.execute("CREATE SCHEMA old; CREATE SCHEMA campaign_db", user="consolidation")
    fill(target, "old", "json", user="consolidation")
    service = Service("campaign_db", target.settings, "old", (), target.settings)
    begin(service)
    assert "old.parents with itself before the move" in verify.plan(service).diff()["prepared"]
    fence_phase.apply(fence_phase.plan(service, "source", fence.CLOSED), 10)
    with recorded(service, "copy") as work, session(target.settings, "test") as conn:
        work.result["tables"] = []
        for table in read_tables(conn, "old"):
            digest = table_digest(conn, table)
            sums = [str(part) for part in digest.sums]
            work.result["tables"].append({"name": table.name, "rows": digest.rows, "sums": sums})
            execute(conn, sql.SQL("ALTER TABLE {} SET SCHEMA campaign_db").format(table.identifier))
    return service


def test_moved_tables_are_compared_with_what_they_were(moved: Service, target: Database) -> None:
    result = verify.apply(verify.plan(moved), verify.Options())
    assert result["outcome"] == "equal"
    assert len(result["tables"]) == 6
    damage(target, "SET consolidation.pass = 'on'", "DROP TABLE empty", "UPDATE keyless SET a = 'b' WHERE b = '1'")
    with pytest.raises(VerificationFailed) as raised:
        verify.apply(verify.plan(moved), verify.Options())
    found = outcomes(raised.value.facts)
    assert {name for name, outcome in found.items() if outcome == "different"} == {"empty", "keyless"}
    target.execute("ALTER TABLE campaign_db.parents DISABLE TRIGGER aa_consolidation_fence", user="consolidation")
    with pytest.raises(StepRefused, match="the target is not fenced"):
        verify.apply(verify.plan(moved), verify.Options())
