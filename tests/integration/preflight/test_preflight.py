"""Every finding of the catalogue, provoked on real servers, as a read-only role."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from consolidation.fence import trigger
from consolidation.lineage import alembic as lineage
from consolidation.model import Database as ModelDatabase
from consolidation.postgres.connection import session
from consolidation.postgres.queries import query
from consolidation.preflight import activity, side
from consolidation.preflight import phase as preflight
from consolidation.preflight.findings import BLOCKER, INFO, WARNING
from demo import roles
from tests.cluster import Cluster, Database, digest_of_everything
from tests.preflight_cases import FENCE, NO_REFERENCE, OWNER, SUPERUSER, TARGET, VECTOR, Case
from tests.preflight_world import DDL, ROWS, World, as_runbook, assert_found, blockers, create

RUN = """
INSERT INTO consolidation.run (id, operator, control, version) VALUES ('r1', 'someone', '{}', '0');
INSERT INTO consolidation.run_database (run_id, database, state) VALUES ('r1', 'campaign_db', %s);
"""


@pytest.fixture
def world(source: Database, target: Database, tmp_path: Path) -> World:
    return create(source, target, tmp_path)


@pytest.mark.every_pair
def test_clean_databases_have_no_blocker_and_stay_as_they_are(world: World) -> None:
    servers = (world.source.server, world.target.server)
    before = [digest_of_everything(server) for server in servers]
    report = world.report()
    assert blockers(report.findings) == set()
    assert [finding.id for finding in report.findings if finding.severity == WARNING] == []
    assert [table["name"] for table in report.tables] == ["public.campaigns", "public.chapters"]
    assert [digest_of_everything(server) for server in servers] == before


def test_clean_databases_as_the_runbook_itself(world: World) -> None:
    as_runbook(world)
    report = world.report()
    assert {finding.id for finding in report.findings} == {
        "source.grant.left",  # of the reader
        "source.object.default_privileges",
        "target.disk.not_visible",
        "target.lineage.pending",
        "target.lz4.missing",
    }


@pytest.fixture(scope="module")
def shared(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> World:
    """For the many cases that change no more than the source's schemas; on servers of its own."""
    source = cluster.source(cluster.server("preflight_source", 16), "campaign")
    target = cluster.target(cluster.server("preflight_target", 18))
    return create(source, target, tmp_path_factory.mktemp("preflight"))


@pytest.fixture
def emptied(shared: World) -> World:
    """The shared world, its source as it was at first but for the rows."""
    shared.source.execute("DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA public")
    roles.create_source(shared.source.server, "campaign")
    shared.owner(DDL + ROWS)
    return replace(shared)


@pytest.mark.parametrize("case", OWNER, ids=str)
def test_what_the_owner_did(emptied: World, case: Case) -> None:
    if case.statements:
        emptied.owner(case.statements)
    assert_found(emptied, case.kind, case.severity, case.others)


ENDANGERS = {
    "schema.column.widened",
    "schema.column.looser",
    "schema.column.json_converted",
    "schema.table.missing",
    "schema.unique.extra",
    "schema.foreign_key.extra",
    "source.object.check",
    "source.object.exclusion",
    "source.object.partitioned_table",
    "source.object.rule",
}


@pytest.mark.parametrize("case", [case for case in OWNER if case.kind in ENDANGERS], ids=str)
def test_what_endangers_a_rollback_says_so(emptied: World, case: Case) -> None:
    emptied.owner(case.statements)
    [found] = [finding for finding in emptied.report().findings if finding.id == case.kind][:1]
    assert found.severity != INFO
    assert " rollback" in found.what
    assert found.fix != "nothing to do"


@pytest.mark.parametrize("case", SUPERUSER, ids=str)
def test_what_a_superuser_did(world: World, case: Case) -> None:
    world.source.execute(case.statements)
    assert_found(world, case.kind, case.severity, case.others)


@pytest.mark.parametrize("case", TARGET, ids=str)
def test_what_happened_on_the_target(world: World, case: Case) -> None:
    world.target.execute(case.statements)
    assert_found(world, case.kind, case.severity, case.others)


# What an inventory may say.
INVENTORY: list[tuple[str, str, Callable[[ModelDatabase], ModelDatabase], set[str]]] = [
    ("source.table.missing", BLOCKER, lambda db: replace(db, tables=("campaigns", "chapters", "no such")), set()),
    ("source.table.left_behind", WARNING, lambda db: replace(db, tables=("campaigns",)), set()),
    ("source.application_role.none", WARNING, lambda db: replace(db, application_roles=()), set()),
    ("target.application_role.none", WARNING, lambda db: replace(db, target_roles=()), set()),
    ("source.connection.failed", BLOCKER, lambda db: replace(db, source=replace(db.source, port=1)), set()),
    ("target.connection.failed", BLOCKER, lambda db: replace(db, target=replace(db.target, dbname="no")), set()),
    ("runner.lineage.missing", BLOCKER, lambda db: replace(db, name="no_such_db"), set()),
    ("runner.passfile.missing", BLOCKER, lambda db: replace(db, source=replace(db.source, passfile="/no/such")),
     {"source.connection.failed"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "severity", "change", "others"), INVENTORY)
def test_what_the_inventory_says(
    world: World, kind: str, severity: str, change: Callable[[ModelDatabase], ModelDatabase], others: set[str]
) -> None:
    world.database = change(world.database)
    assert_found(world, kind, severity, others)


@contextmanager
def holding(world: World, statement: str) -> Iterator[None]:
    with world.source.connection() as here, world.target.connection() as there:
        here.cursor().execute(statement)
        there.cursor().execute("SELECT 1")
        yield


@contextmanager
def locked_target(world: World) -> Iterator[None]:
    lineage.upgrade(world.database.target, "campaign_db")
    read_target(world)
    with world.target.connection() as conn:
        conn.cursor().execute("LOCK TABLE campaign_db.chapters IN SHARE MODE")
        yield


@contextmanager
def prepared(database: Database) -> Iterator[None]:
    database.execute("SELECT txid_current(); PREPARE TRANSACTION 'it''s'")
    try:
        yield
    finally:
        conn = database.server.connect(database.name)
        conn.cursor().execute("ROLLBACK PREPARED 'it''s'")
        conn.close()


def read_target(world: World) -> None:
    """Let the reader see what the schema phase made."""
    for name in ("campaign_db", "consolidation"):
        world.target.execute(
            f"GRANT USAGE ON SCHEMA {name} TO consolidation_reader;"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO consolidation_reader"
        )


@contextmanager
def subscription(world: World) -> Iterator[None]:
    conn = world.source.server.connect("campaign")  # a database with a subscription cannot be dropped
    off = "connect = false, enabled = false, create_slot = false, slot_name = NONE"
    conn.cursor().execute(f"CREATE SUBSCRIPTION s CONNECTION 'dbname=no' PUBLICATION p WITH ({off})")
    try:
        yield
    finally:
        conn.cursor().execute("DROP SUBSCRIPTION s")
        conn.close()


@contextmanager
def target_subscription(world: World) -> Iterator[None]:
    off = "connect = false, enabled = false, create_slot = false, slot_name = NONE"
    conn = world.target.server.connect("storage")
    conn.autocommit = True
    cursor = conn.cursor()
    cursor.execute("CREATE SCHEMA campaign_db AUTHORIZATION consolidation; CREATE TABLE campaign_db.fed (id int)")
    cursor.execute(f"CREATE SUBSCRIPTION s CONNECTION 'dbname=no' PUBLICATION p WITH ({off})")
    cursor.execute("SET allow_system_table_mods = on")  # what a publisher that answers would have told
    cursor.execute(
        "INSERT INTO pg_subscription_rel SELECT oid, 'campaign_db.fed'::regclass, 'i', NULL FROM pg_subscription"
    )
    try:
        yield
    finally:
        cursor.execute("DROP SUBSCRIPTION s; DROP SCHEMA campaign_db CASCADE")
        conn.close()


@contextmanager
def commits_that_wait(database: Database) -> Iterator[None]:
    with database.connection() as conn:
        conn.autocommit = True
        conn.cursor().execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        conn.cursor().execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        try:
            yield
        finally:
            conn.cursor().execute("ALTER SYSTEM RESET synchronous_standby_names")
            conn.cursor().execute("SELECT pg_reload_conf(), pg_sleep(0.3)")


@contextmanager
def standby(database: Database) -> Iterator[None]:
    server, signal = database.server, database.server.directory / "data" / "standby.signal"
    server.stop()
    signal.touch()
    try:
        server.start()
        yield
    finally:
        server.stop()
        signal.unlink()
        server.start()


Moment = tuple[str, str, Callable[[World], AbstractContextManager[None]]]
MOMENTS: list[Moment] = [
    ("source.transaction.long", WARNING, lambda world: holding(world, "SELECT 1")),
    ("target.transaction.long", WARNING, lambda world: holding(world, "SELECT 1")),
    ("source.lock.held", WARNING, lambda world: holding(world, "LOCK TABLE chapters IN SHARE MODE")),
    ("source.check.failed", BLOCKER, lambda world: holding(world, "LOCK TABLE chapters")),
    ("target.lock.held", WARNING, locked_target),
    ("source.transaction.prepared", BLOCKER, lambda world: prepared(world.source)),
    ("target.transaction.prepared", BLOCKER, lambda world: prepared(world.target)),
    ("source.object.subscription", BLOCKER, subscription),
    ("source.standby.synchronous_away", BLOCKER, lambda world: commits_that_wait(world.source)),
    ("target.standby.synchronous_away", BLOCKER, lambda world: commits_that_wait(world.target)),
    ("source.standby", BLOCKER, lambda world: standby(world.source)),
    ("target.standby", BLOCKER, lambda world: standby(world.target)),
]


def test_a_subscription_that_writes_the_target_is_named(world: World) -> None:
    with target_subscription(world):
        found = [finding for finding in world.report().findings if finding.id == "target.object.subscription"]
    assert [(finding.subject, finding.severity) for finding in found] == [("s", BLOCKER)]
    assert "campaign_db.fed" in found[0].what


@pytest.mark.parametrize("case", MOMENTS, ids=lambda case: case[0])
def test_what_goes_on(world: World, monkeypatch: pytest.MonkeyPatch, case: Moment) -> None:
    kind, severity, moment = case
    monkeypatch.setattr(activity, "LONG_SECONDS", 0)
    monkeypatch.setattr(side, "LOCK_WAIT", "100ms")
    with moment(world):
        assert_found(world, kind, severity, set())


JOURNAL = [
    ("run.unfinished", INFO, "migrating"),
    ("run.migrated", INFO, "migrated"),
    ("run.rolling_back", BLOCKER, "rolling_back"),
    ("run.rolled_back", INFO, "rolled_back"),
    ("target.rows.left", INFO, "rolled_back"),
    ("target.table.not_empty", BLOCKER, None),
]


@pytest.mark.parametrize(("kind", "severity", "state"), JOURNAL)
def test_what_the_journal_says(world: World, kind: str, severity: str, state: str | None) -> None:
    lineage.upgrade(world.database.target, "campaign_db")
    lineage.upgrade(world.database.target, "journal")
    world.target.execute(f"SET search_path = campaign_db; {ROWS}")
    if state:
        world.target.execute(RUN, [state])
        if state != "rolled_back":
            world.owner(FENCE)
        with session(world.database.target, "test") as conn:
            trigger.close_side(conn, world.database.target_side, 10)
    read_target(world)
    # Nothing says behind which closing of the fence that run was verified.
    assert_found(world, kind, severity, {"run.conflict"} if state == "migrated" else set())


def test_unknown_revision(world: World) -> None:
    lineage.upgrade(world.database.target, "campaign_db")
    world.target.execute("INSERT INTO consolidation.alembic_version VALUES ('campaign_db_0999')")
    read_target(world)
    assert_found(world, "target.lineage.unknown_revision", BLOCKER, set())


def test_extension_in_another_schema(world: World) -> None:
    world.source.execute(VECTOR + "ALTER TABLE chapters ADD v vector")
    world.target.execute("CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext")
    assert_found(world, "source.extension.schema", WARNING, {"schema.column.extra", "source.backup.extension"})


def test_encodings_and_locales(world: World) -> None:
    def ids(source: str, target: str) -> set[str]:
        clean = world.database
        sides = {"source": replace(clean.source, dbname=source), "target": replace(clean.target, dbname=target)}
        findings = replace(world, database=replace(clean, **sides)).report().findings
        return {found.id for found in findings if "encoding" in found.id or "collation" in found.id}

    for database in (world.source, world.target):
        conn = database.server.connect()
        for encoding in ("SQL_ASCII", "LATIN1"):
            conn.cursor().execute(f"CREATE DATABASE {encoding} TEMPLATE template0 LOCALE 'C' ENCODING {encoding}")
        conn.close()
    assert ids("sql_ascii", "storage") == {
        "source.encoding.unchecked",
        "target.encoding.differs",
        "target.collation.differs",
    }
    assert ids("latin1", "sql_ascii") == {"target.encoding.unchecked", "target.encoding.differs"}
    assert ids("latin1", "latin1") == set()


def test_tables_to_be_moved_must_equal_the_lineage(world: World) -> None:
    world.target.execute("ALTER SCHEMA public OWNER TO storage_owner; GRANT storage_owner TO consolidation")
    world.target.execute("GRANT USAGE, CREATE ON SCHEMA public TO consolidation_reader")
    world.target.execute(DDL + ROWS, role="storage_owner")
    world.target.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO consolidation_reader")
    settings = world.target.settings
    world.database = replace(world.database, source=settings, application_roles=("storage_service",))
    world.options = replace(world.options, source_reader=world.options.target_reader)
    assert_found(world, "schema.move.differs", BLOCKER, set())
    world.target.execute(
        "CREATE INDEX ix_chapters_campaign_id_sequence_number ON chapters (campaign_id, sequence_number);"
        "CREATE INDEX ix_campaigns_created_at_id ON campaigns (created_at, id);"
        "CREATE INDEX ix_chapters_sequence_number_id ON chapters (sequence_number, id)"
    )
    assert world.report().blockers == ()
    world.target.execute("ALTER TABLE campaigns ALTER name DROP NOT NULL")
    assert_found(world, "schema.move.differs", BLOCKER, set())
    lineage.upgrade(world.database.target, "journal")
    world.target.execute("CREATE SCHEMA campaign_db AUTHORIZATION consolidation")
    world.target.execute("ALTER TABLE campaigns SET SCHEMA campaign_db; ALTER TABLE chapters SET SCHEMA campaign_db")
    world.target.execute(RUN, ["migrated"])
    world.target.execute("INSERT INTO consolidation.alembic_version VALUES ('campaign_db_0003')")
    read_target(world)
    assert_found(world, "run.migrated", INFO, set())


def test_passfile_that_others_may_read(world: World) -> None:
    passfile = Path(str(world.database.source.passfile))
    passfile.chmod(0o644)
    try:
        assert_found(world, "runner.passfile.open", BLOCKER, {"source.connection.failed"})
    finally:
        passfile.chmod(stat.S_IRUSR | stat.S_IWUSR)


def test_runner_without_tools_and_room(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    world.options = replace(world.options, postgresql_bin=tmp_path, backup_directory=tmp_path / "file" / "backup")
    assert blockers(world.report().findings) == {"runner.tool.missing", "runner.backup.directory"}


def test_a_check_of_the_runner_that_fails_is_a_finding(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_directory: Path) -> Iterator[None]:
        raise PermissionError("no")

    monkeypatch.setattr(preflight.runner, "writable", broken)
    assert blockers(world.report().findings) == {"runner.check.failed"}


def test_both_sides_are_examined_when_one_cannot_be_reached(world: World) -> None:
    world.owner("CREATE VIEW v AS SELECT 1 AS one")
    world.target.execute("ALTER ROLE consolidation NOCREATEDB")
    as_runbook(world)
    reachable = world.database
    world.database = replace(reachable, target=replace(reachable.target, port=1))
    assert blockers(world.report().findings) == {"target.connection.failed", "source.object.view"}
    world.database = replace(reachable, source=replace(reachable.source, port=1))
    assert blockers(world.report().findings) == {"source.connection.failed", "target.role.cannot_create_database"}


def test_connection_lost_half_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_side: object) -> Iterator[None]:
        world.source.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'consolidation preflight'"
        )
        return iter(())

    monkeypatch.setattr(preflight.server, "_standby", cut)
    findings = world.report().findings
    assert "source.check.failed" in blockers(findings)
    assert "target.lineage.pending" in {finding.id for finding in findings}


def test_accepted_blockers_become_warnings_and_others_do_not(world: World) -> None:
    world.owner("CREATE VIEW v AS SELECT 1 AS one; CREATE VIEW w AS SELECT 1 AS one; ALTER TABLE chapters ADD x int")
    accepted = ("source.object.view public.v", "schema.column.extra public.chapters.x")
    world.options = replace(world.options, accepted=accepted)
    report = world.report()
    found = {(finding.severity, finding.id, finding.subject) for finding in report.findings}
    assert (WARNING, "source.object.view", "public.v") in found
    assert (BLOCKER, "source.object.view", "public.w") in found
    assert (BLOCKER, "schema.column.extra", "public.chapters.x") in found


def test_the_fix_is_the_fix(world: World) -> None:
    world.source.execute("REVOKE campaign_owner FROM consolidation")
    world.target.execute("ALTER ROLE consolidation NOCREATEDB")
    world.owner("ALTER TABLE campaigns ALTER name TYPE text; UPDATE campaigns SET name = repeat('x', 300)")
    world.owner(NO_REFERENCE + "INSERT INTO chapters (id, campaign_id, title, sequence_number)"
                " VALUES (gen_random_uuid(), gen_random_uuid(), 'orphan', 1)")  # fmt: skip
    fixes = {finding.id: finding.fix for finding in world.report().findings if finding.severity == BLOCKER}
    for kind, fix in fixes.items():
        (world.target if kind.startswith("target.") else world.source).execute(fix)
    assert len(fixes) >= 4
    assert blockers(world.report().findings) == set()


def test_while_the_sides_are_in_conflict_no_fix_touches_rows_or_fences(world: World) -> None:
    """Journal lost after a cutover: what the target holds is not on the source, and the fence must not be opened."""
    lineage.upgrade(world.database.target, "campaign_db")
    world.target.execute(f"SET search_path = campaign_db; {ROWS}")
    read_target(world)
    world.owner(NO_REFERENCE + "INSERT INTO chapters (id, campaign_id, title, sequence_number)"
                " VALUES (gen_random_uuid(), gen_random_uuid(), 'orphan', 1)")  # fmt: skip
    world.owner(FENCE)
    reached = world.report()
    [conflict] = [finding for finding in reached.findings if finding.id == "run.conflict"]
    assert "the journal knows no run, and the source is fenced" in conflict.what
    assert "right now both sides take writes" in conflict.what  # one table of the source is fenced
    assert "playbooks/resolve.yml --check" in conflict.fix
    assert {"target.table.not_empty", "data.orphan"} <= {finding.id for finding in reached.findings}
    word = re.compile(r"TRUNCATE|DELETE|TRIGGER|DROP|SET SCHEMA")
    assert not [finding.id for finding in reached.findings if word.search(finding.fix)]
    world.target.server.stop("immediate")
    try:
        findings = world.report().findings
    finally:
        world.target.server.start()
    assert blockers(findings) == {"target.connection.failed", "data.orphan"}
    assert not [finding.id for finding in findings if "TRIGGER" in finding.fix]


def test_fence_of_a_run_is_no_leftover(world: World) -> None:
    lineage.upgrade(world.database.target, "journal")
    world.target.execute(RUN, ["migrating"])
    world.source.execute("CREATE SCHEMA consolidation AUTHORIZATION consolidation")
    world.source.execute(query("fence/function"), user="consolidation")
    world.owner(FENCE)
    world.target.execute(
        "GRANT USAGE ON SCHEMA consolidation TO consolidation_reader;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA consolidation TO consolidation_reader"
    )
    report = world.report()
    assert not [finding.id for finding in report.findings if finding.id.startswith("source.fence")]
    assert report.blockers == ()
