"""Backup on real servers: what is dumped is proved, and nothing half-done is left behind by whatever goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import psycopg2
import pytest
from psutil import process_iter  # type: ignore[import-untyped]  # it brings no types

from consolidation.backup import drill, manifest
from consolidation.backup import phase as backup
from consolidation.errors import BackupError, ConfigurationError, StepRefused
from consolidation.journal import records, runs
from consolidation.model import Database
from consolidation.postgres.connection import session
from demo.servers import installations
from tests import backups
from tests.cluster import Cluster, digest_of_everything
from tests.cluster import Database as OnServer

DUMPING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'consolidation backup dump'"


@pytest.fixture
def database(source: OnServer, target: OnServer) -> Database:
    backups.fill(source)
    return backups.begin(source, target)


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    return tmp_path / "dumps"


def plan(database: Database, dumps: Path) -> backup.Plan:
    return backup.plan(database, dumps, backups.tools())


@pytest.mark.every_pair
def test_backup_is_made_once_and_proved(database: Database, dumps: Path, source: OnServer, target: OnServer) -> None:
    everything = [digest_of_everything(server) for server in (source.server, target.server)]
    planned = plan(database, dumps)
    assert planned.changed
    assert str(planned.final) in planned.diff()["after"]
    assert not dumps.exists()
    assert everything == [digest_of_everything(server) for server in (source.server, target.server)]

    made = backup.apply(planned)
    final = Path(made["directory"])
    assert final == planned.final
    counted = {
        name: source.value(f'SELECT count(*) FROM "{name}"')
        for name in ("Select", "alembic_version", "campaigns", "chapters", "empty_one", "no_columns", "parts")
    }
    assert {table["name"]: table["rows"] for table in made["tables"]} == counted
    assert made["drill"]["tables"] == len(counted)
    assert sorted(path.name for path in final.iterdir()) == ["dump", "globals.sql", "manifest.json"]
    assert [path.name for path in final.parent.iterdir()] == ["campaign_db"]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in dumps.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (dumps, *dumps.rglob("*")) if path.is_dir()} == {0o700}
    assert drills(target) == []
    assert everything[0] == digest_of_everything(source.server)

    again = plan(database, dumps)
    assert not again.changed
    assert again.diff()["before"] == again.diff()["after"]
    assert backup.apply(again)["manifest_sha256"] == made["manifest_sha256"]


def test_no_secret_is_kept(database: Database, dumps: Path, cluster: Cluster) -> None:
    made = backups.dump(database, dumps)
    passwords = [line.rsplit(":", 1)[1] for line in cluster.passfile.read_text().splitlines()]
    kept = b"".join(path.read_bytes() for path in dumps.rglob("*") if path.is_file()) + json.dumps(made).encode()
    assert not [password for password in passwords if password.encode() in kept]
    assert b"SCRAM-SHA-256" not in kept


def test_the_drill_sees_content_that_differs(database: Database, dumps: Path, target: OnServer) -> None:
    made = backups.dump(database, dumps)
    final = Path(made["directory"])
    intact = manifest.check(final, sha256=made["manifest_sha256"], run_id=made["run_id"], database="campaign_db")
    other = intact.tables | {"chapters": intact.tables["chapters"] | {"digest": "0" * 32}}
    fewer = {name: table for name, table in intact.tables.items() if name != "parts"}
    ahead = intact.sequences | {"chapters_id_seq": intact.sequences["chapters_id_seq"] | {"last_value": 10**6}}
    for wrong, message in (
        (replace(intact, tables=other), "table chapters has 1500 rows, but other content"),
        (replace(intact, tables=fewer), "table parts is not in the manifest"),
        (replace(intact, sequences=ahead), "sequence chapters_id_seq is behind"),
    ):
        with pytest.raises(BackupError, match=message):
            drill.verify(wrong, final, backups.tools(), database.target)
        assert drills(target) == []


def test_leftovers_of_dead_drills_are_dropped_and_drills_under_way_are_not(
    database: Database, dumps: Path, target: OnServer
) -> None:
    run_id = plan(database, dumps).run_id
    mine, dead, alive, others = (
        f"consolidation_drill_{run_id}_campaign_db",
        "consolidation_drill_20200101T000000Z_campaign_db",
        "consolidation_drill_20200102T000000Z_campaign_db",
        "consolidation_drill_20200101T000000Z_image_db",
    )
    for name in (mine, dead, alive, others):
        create_database(target, name)
    with target.in_database(alive).connection("consolidation"), target.in_database(mine).connection("consolidation"):
        backups.dump(database, dumps)
    assert drills(target) == [others, alive]


def flip_a_byte(final: Path) -> None:
    path = max((final / "dump").glob("*.dat.gz"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(final: Path) -> None:
    os.truncate(final / "dump" / "toc.dat", 100)


def add_a_file(final: Path) -> None:
    (final / "dump" / "9999.dat.gz").write_bytes(b"")


def remove_a_file(final: Path) -> None:
    (final / "globals.sql").unlink()


def edit_the_manifest(final: Path) -> None:
    path = final / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 300', '"rows": 301'))


def damage_and_forge_the_manifest(final: Path) -> None:
    edit_the_manifest(final)
    flip_a_byte(final)
    made = manifest.parse((final / "manifest.json").read_bytes(), final)
    (final / "manifest.json").unlink()
    manifest.write(final, replace(made, files=manifest.hashes(final)))


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (flip_a_byte, r"dump/\d+\.dat\.gz has other content"),
        (truncate, "toc.dat has 100 bytes"),
        (add_a_file, "dump/9999.dat.gz does not belong there"),
        (remove_a_file, "globals.sql is missing"),
        (edit_the_manifest, "is not the manifest that the journal knows"),
        (damage_and_forge_the_manifest, "is not the manifest that the journal knows"),
        (shutil.rmtree, "no dump in"),
    ],
)
def test_damage_is_noticed_and_fixed_by_a_new_dump(
    database: Database, dumps: Path, damage: Callable[[Path], None], named: str
) -> None:
    made = backups.dump(database, dumps)
    final = Path(made["directory"])
    damage(final)
    with pytest.raises(BackupError, match=named):
        manifest.check(final, sha256=made["manifest_sha256"], run_id=made["run_id"], database="campaign_db")
    assert plan(database, dumps).changed
    renewed = backups.dump(database, dumps)
    assert renewed["manifest_sha256"] != made["manifest_sha256"]
    assert not plan(database, dumps).changed
    assert [path.name for path in final.parent.iterdir()] == ["campaign_db"]


def test_swapped_dumps_are_noticed(database: Database, dumps: Path, image_source: OnServer, target: OnServer) -> None:
    image_source.execute("CREATE TABLE images (id int)", role="image_owner")
    image = backups.begin(image_source, target, "image_db")
    ours, theirs = (Path(backups.dump(each, dumps)["directory"]) for each in (database, image))
    ours.rename(ours.with_name("x"))
    theirs.rename(ours)
    ours.with_name("x").rename(theirs)
    assert plan(database, dumps).changed
    assert plan(image, dumps).changed


def test_a_migrated_run_does_not_dump_again(database: Database, dumps: Path) -> None:
    made = backups.dump(database, dumps)
    with session(database.target, "test") as conn:
        run = records.latest_run(conn, "campaign_db")
        assert run is not None
        runs.finish(conn, run, records.MIGRATED)
    assert not plan(database, dumps).changed
    truncate(Path(made["directory"]))
    with pytest.raises(StepRefused, match=r"toc\.dat has 100 bytes"):
        plan(database, dumps)


class SlowTools:
    """Client programs of which one begins its work only when it is told to."""

    def __init__(self, directory: Path, slow: str) -> None:
        self.directory = directory
        directory.mkdir()
        for name in {"pg_dump", "pg_restore", "pg_dumpall"} - {slow}:
            (directory / name).symlink_to(backups.tools() / name)
        wait = f"touch {directory}/waits; until [ -e {directory}/go ]; do sleep 0.05; done"
        text = f'case $1 in --version) ;; *) {wait};; esac; exec {backups.tools()}/{slow} "$@"'
        (directory / slow).write_text(f"#!/bin/sh\n{text}\n")
        (directory / slow).chmod(0o755)

    def wait(self) -> None:
        wait_until((self.directory / "waits").exists, "the slow program has been started")

    def go(self) -> None:
        (self.directory / "go").touch()

    def run(self) -> bool:
        """Whether any of them does."""
        return any(str(self.directory) in " ".join(each.info["cmdline"] or ()) for each in process_iter(["cmdline"]))


def test_dump_and_digests_see_one_moment(database: Database, dumps: Path, source: OnServer, tmp_path: Path) -> None:
    slow = SlowTools(tmp_path / "tools", "pg_dump")
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(backups.dump, database, dumps, slow.directory)
        slow.wait()
        source.execute("DELETE FROM chapters; INSERT INTO campaigns (name) VALUES ('late')", user="campaign_app")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            source.execute("SET lock_timeout = '300ms'; TRUNCATE chapters", role="campaign_owner")
        slow.go()
        made = making.result()
    counted = {table["name"]: table["rows"] for table in made["tables"]}
    assert (counted["chapters"], counted["campaigns"]) == (1500, 300)


def test_what_cannot_be_read_is_named(database: Database, dumps: Path, source: OnServer) -> None:
    source.execute('CREATE TABLE "Private" (id int); REVOKE ALL ON "Private" FROM PUBLIC')
    with pytest.raises(BackupError, match=r'cannot dump 1 objects: public\."Private" \(no SELECT\)'):
        plan(database, dumps)


def test_rows_hidden_by_a_policy_are_an_error(database: Database, dumps: Path, source: OnServer) -> None:
    source.execute("CREATE TABLE hidden (id int); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY")
    source.execute("GRANT SELECT ON hidden TO consolidation")
    with pytest.raises(BackupError, match=r"public\.hidden \(row-level security hides rows\)"):
        plan(database, dumps)


def test_forced_row_security_hides_no_row_from_the_drill(database: Database, dumps: Path, source: OnServer) -> None:
    """Its role owns what it restores, and needs no BYPASSRLS."""
    forced = "ALTER TABLE campaigns ENABLE ROW LEVEL SECURITY; ALTER TABLE campaigns FORCE ROW LEVEL SECURITY;"
    source.execute(f"{forced} CREATE POLICY p ON campaigns USING (name = current_user)", role="campaign_owner")
    source.execute("ALTER ROLE consolidation BYPASSRLS")
    assert backup.apply(plan(database, dumps))["drill"]["tables"] > 1


def test_no_setting_of_the_role_changes_dump_or_drill(
    database: Database, dumps: Path, source: OnServer, target: OnServer
) -> None:
    source.execute("ALTER ROLE consolidation SET client_encoding = 'LATIN1'")  # has no snowman
    source.execute("CREATE TABLE snow (id int, man text[]); INSERT INTO snow VALUES (1, ARRAY['\u2603', NULL])")
    source.execute("GRANT SELECT ON snow TO consolidation")
    target.execute(
        "ALTER ROLE consolidation SET array_nulls = off;ALTER ROLE consolidation SET default_transaction_read_only = on"
    )
    assert backup.apply(plan(database, dumps))["drill"]["tables"] > 1
    kept = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'consolidation'::regrole"
    assert target.rows(kept) == [(["array_nulls=off", "default_transaction_read_only=on"],)]


@pytest.mark.parametrize("other", ["source", "target"])
def test_money_is_read_as_it_was_written(
    database: Database, dumps: Path, source: OnServer, target: OnServer, other: str
) -> None:
    """1.234,56 of one locale is 1.23 of another."""
    if not any(name.startswith("de_DE") for (name,) in source.rows("SELECT collname FROM pg_collation")):
        pytest.skip("NO de_DE HERE, money of another locale was not tried: apt-get install locales, locale-gen")
    source.execute("CREATE DOMAIN price AS money; CREATE TABLE sold (id int, price price)")
    source.execute("INSERT INTO sold VALUES (1, (-1234.56)::money); GRANT SELECT ON sold TO consolidation")
    side = source if other == "source" else target
    side.execute("ALTER ROLE consolidation SET lc_monetary = 'de_DE.UTF-8'")
    assert backup.apply(plan(database, dumps))["drill"]["tables"] > 1


def test_drill_needs_createdb(database: Database, dumps: Path, target: OnServer) -> None:
    target.execute("ALTER ROLE consolidation NOCREATEDB")
    with pytest.raises(ConfigurationError, match="may not create the scratch database"):
        plan(database, dumps)


def test_drill_on_another_server(database: Database, dumps: Path, source: OnServer, target: OnServer) -> None:
    target.execute("ALTER ROLE consolidation NOCREATEDB")
    made = backup.apply(backup.plan(database, dumps, backups.tools(), source.settings))
    assert made["drill"]["server"].endswith(str(source.server.port))
    assert drills(source) == []


def test_client_programs_older_than_the_server(database: Database, dumps: Path) -> None:
    older = [major for major in installations() if major < 16]
    if not older:
        pytest.skip("no client programs older than 16 on this machine")
    with pytest.raises(ConfigurationError, match=f"version {older[0]} cannot dump"):
        backup.plan(database, dumps, installations()[older[0]])
    with pytest.raises(ConfigurationError, match="cannot run"):
        backup.plan(database, dumps, dumps)


def test_directory_that_is_none(database: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="is not a directory that this user may write to"):
        plan(database, tmp_path / "file" / "dumps")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    small = tmp_path / "small"
    small.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", small]
    if not mount or not umount or subprocess.run([mount, *options], check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield small
    subprocess.run([umount, small], check=True)


def test_disk_full(database: Database, small_disk: Path, source: OnServer, target: OnServer) -> None:
    source.execute(
        "CREATE TABLE noise AS SELECT sha512(n::text::bytea) FROM generate_series(1, 10000) n", role="campaign_owner"
    )
    with pytest.raises(BackupError, match="No space left") as raised:
        backups.dump(database, small_disk)
    assert "consolidation_backup_directory" in raised.value.hint
    assert [path.name for path in small_disk.rglob("*") if "campaign_db" in path.name] == []
    assert drills(target) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_killed_during_the_dump(
    database: Database, dumps: Path, source: OnServer, target: OnServer, number: signal.Signals
) -> None:
    with dumping(database, dumps, source) as process:
        process.send_signal(number)
        process.wait(10)
        wait_until(lambda: source.value(DUMPING) == 0, "pg_dump has ended")
        said_by = said(process)
    leave_nothing(dumps, target, partial=number == signal.SIGKILL)
    if number != signal.SIGKILL:
        assert f"stopped by {number.name}" in said_by
    run_again(database, dumps)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_during_the_drill(
    database: Database, dumps: Path, target: OnServer, tmp_path: Path, number: signal.Signals
) -> None:
    slow = SlowTools(tmp_path / "tools", "pg_restore")
    with started(database, dumps, slow.directory) as process:
        slow.wait()
        assert len(drills(target)) == 1
        process.send_signal(number)
        process.wait(10)
        wait_until(lambda: not slow.run(), "pg_restore has ended too")
        wait_until(lambda: not slow.run(), "pg_restore has ended too")
    if number == signal.SIGTERM:
        leave_nothing(dumps, target)
    run_again(database, dumps)
    assert drills(target) == []


def test_killed_while_pg_dump_has_workers(database: Database, dumps: Path, source: OnServer) -> None:
    source.execute(
        "CREATE TABLE noise AS SELECT sha512(n::text::bytea) FROM generate_series(1, 2000000) n", role="campaign_owner"
    )
    with started(database, dumps) as process:
        wait_until(lambda: source.value(DUMPING) == 3, "pg_dump has workers")
        process.kill()
        process.wait(10)
        wait_until(lambda: source.value(DUMPING) == 0, "pg_dump and its workers have ended")


def test_server_stops_during_the_dump(database: Database, dumps: Path, source: OnServer, target: OnServer) -> None:
    with dumping(database, dumps, source) as process:
        source.server.stop("immediate")
        process.wait(30)
        assert process.returncode == 3, said(process)
    leave_nothing(dumps, target)
    source.server.start()
    run_again(database, dumps)


def test_target_stops_during_the_dump(database: Database, dumps: Path, source: OnServer, target: OnServer) -> None:
    with dumping(database, dumps, source) as process:
        target.server.stop("immediate")
    assert process.returncode == 3
    target.server.start()
    leave_nothing(dumps, target)
    run_again(database, dumps)


def leave_nothing(dumps: Path, target: OnServer, *, partial: bool = False) -> None:
    left = {path.name for path in dumps.glob("*/*")}
    assert left == ({"campaign_db.partial"} if partial else set())
    assert drills(target) == []


def run_again(database: Database, dumps: Path) -> None:
    made = backups.dump(database, dumps)
    assert [path.name for path in Path(made["directory"]).parent.iterdir()] == ["campaign_db"]


def create_database(server: OnServer, name: str) -> None:
    with closing(server.server.connect()) as conn:
        conn.cursor().execute(f'CREATE DATABASE "{name}" OWNER consolidation')


def drills(server: OnServer) -> list[str]:
    found = server.rows(r"SELECT datname FROM pg_database WHERE datname LIKE 'consolidation\_drill%' ORDER BY 1")
    return [name for (name,) in found]


@contextmanager
def dumping(database: Database, dumps: Path, source: OnServer) -> Iterator[subprocess.Popen[str]]:
    """A backup in a process of its own, which waits for a lock; it goes on when the block ends."""
    with source.connection() as blocker:
        blocker.cursor().execute("LOCK TABLE other.thing IN ACCESS EXCLUSIVE MODE")
        with started(database, dumps) as process:
            waiting = f"{DUMPING} AND wait_event_type = 'Lock'"
            wait_until(lambda: source.value(waiting) == 1, "pg_dump waits for the lock")
            yield process
            blocker.close()
            process.wait(60)


@contextmanager
def started(database: Database, dumps: Path, tools: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A backup in a process of its own; it ends with 3 after an error, which it prints."""
    code = """
import json, pathlib, sys
from consolidation.errors import ConsolidationError
from consolidation.model import Database
from tests import backups
try:
    backups.dump(Database.from_options(json.loads(sys.argv[1])), *map(pathlib.Path, sys.argv[2:]))
except ConsolidationError as error:
    print(error)
    sys.exit(3)
"""
    given = [sys.executable, "-c", code, json.dumps(asdict(database)), dumps, tools or backups.tools()]
    root = Path(__file__).parents[3]
    with subprocess.Popen(given, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.read()


def wait_until(reached: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"never seen: {what}"
        time.sleep(0.05)
