"""Runs that are killed, interrupted or met by a second one: nothing is left behind, and the same command goes on."""

from __future__ import annotations

import getpass
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it brings no types
import pytest

from tests import playbooks
from tests.cluster import Cluster, Database
from tests.playbooks import Playing, Site, wait_for

# The one worker (there are few rows) has loaded the chapters, the larger table; when it has loaded the campaigns too,
# it waits before it says so: rows are there, not committed.
HOLD_COPY = """
CREATE FUNCTION consolidation.hold() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_advisory_xact_lock_shared(1, 1); RETURN NEW; END';
CREATE TRIGGER hold BEFORE UPDATE ON consolidation.chunk FOR EACH ROW
  WHEN (NEW.table_name = 'campaigns' AND NEW.state = 'done') EXECUTE FUNCTION consolidation.hold()
"""
RELEASE_COPY = "DROP FUNCTION consolidation.hold() CASCADE"
CHUNKS = "SELECT table_name, state FROM consolidation.chunk WHERE run_id = (SELECT max(id) FROM consolidation.run)"
HELD = "usename = 'consolidation' AND wait_event_type = 'Lock'"
WAITING = f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {HELD})"


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    site = playbooks.create(cluster, tmp_path, ["campaign_db"])
    try:
        yield site
    finally:
        site.kill_everything()


def test_copy_is_interrupted_killed_and_goes_on(site: Site) -> None:
    rows = site.contents("source")
    site.play("migrate.yml", "--tags", "schema,fence").succeeded()
    site.target.execute(HOLD_COPY)
    with held(site.target, "SELECT pg_advisory_lock(1, 1)"):
        playing = start_until_held(site, site.target)
        second = site.play("migrate.yml").failed()
        assert f"in progress, process {playing.process.pid} on this host" in second.text
        assert f"of {getpass.getuser()}@{socket.gethostname()} is in progress" in second.text
        playing.interrupt().failed()
        wait_for(site.nothing_left, "the copy to end after Ctrl-C")
        assert dict(site.target.rows(CHUNKS)) == {"chapters": "done", "campaigns": "queued"}

        start_until_held(site, site.target)
        site.kill_everything()
        wait_for(site.nothing_left, "the sessions of killed processes to end")
        assert dict(site.target.rows(CHUNKS)) == {"chapters": "done", "campaigns": "queued"}

        start_until_held(site, site.target).kill()
        beside = site.play("migrate.yml").failed()
        assert "another process works on it: backend" in beside.text
    wait_for(site.nothing_left, "the module to end, whose ansible-playbook was killed")
    assert dict(site.target.rows(CHUNKS)) == {"campaigns": "done", "chapters": "done"}
    site.target.execute(RELEASE_COPY)
    site.play("migrate.yml").succeeded()
    assert site.contents("target") == site.contents("source") == rows
    assert [site.is_open("source"), site.is_open("target")] == [False, True]
    attempts = {phase["name"]: phase["attempts"] for phase in site.report()["databases"][0]["journal"]["phases"]}
    assert attempts["copy"] >= 3


def test_backup_is_interrupted_killed_and_done_anew(site: Site) -> None:
    campaign = site.sources["campaign_db"]
    campaign.execute("CREATE SCHEMA other AUTHORIZATION campaign_owner")
    campaign.execute("CREATE TABLE other.thing ()", role="campaign_owner")
    backup = ("migrate.yml", "--tags", "backup")
    with held(campaign, "LOCK TABLE other.thing IN ACCESS EXCLUSIVE MODE"):
        start_until_held(site, campaign, *backup).interrupt().failed()
        wait_for(site.nothing_left, "the backup to end after Ctrl-C")
        assert dumps(site) == []

        start_until_held(site, campaign, *backup).kill()
        assert "another process works on it: backend" in site.play(*backup).failed().text
        site.kill_everything()
        wait_for(site.nothing_left, "the sessions of killed processes to end")
    site.play(*backup).succeeded()
    assert dumps(site) == ["campaign_db"]
    scratch = "SELECT datname FROM pg_database WHERE datname LIKE 'consolidation_drill%'"
    assert site.target.rows(scratch) == []
    site.play(*backup).unchanged("campaign_db")


# The target is open by then, and no one has noted that the phase is done.
HOLD_CUTOVER = """
CREATE FUNCTION consolidation.hold() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_advisory_xact_lock_shared(1, 1); RETURN NEW; END';
CREATE TRIGGER hold BEFORE UPDATE ON consolidation.phase FOR EACH ROW
  WHEN (NEW.name = 'cutover' AND NEW.state = 'done') EXECUTE FUNCTION consolidation.hold()
"""


def test_a_cutover_that_is_killed_after_the_opening(site: Site) -> None:
    """First Ansible's fork with it, then the module alone: what is said is so, and the same command leads on."""
    rows = site.contents("source")
    site.play("migrate.yml", "--tags", "schema,fence,copy,verify").succeeded()
    site.target.execute(HOLD_CUTOVER)
    with held(site.target, "SELECT pg_advisory_lock(1, 1)"):
        playing = start_until_held(site, site.target, "migrate.yml", "--tags", "cutover")
        above = module_at_work(site).parents()
        time.sleep(0.5)  # the fork has been seen
        next(each for each in above if each.ppid() == playing.process.pid).kill()
        stopped = playing.end().failed()
        site.kill_everything()
        assert re.search(r"^STOPPED +in phase cutover", stopped.output, re.M), stopped.output
        assert "while these worked: pg_cutover of campaign_db" in stopped.text
        assert re.search(r"^Writes +\S", stopped.output, re.M), stopped.output
        assert re.search(r"^Resume +\S*ansible-playbook migrate.yml", stopped.output, re.M), stopped.output
        wait_for(site.nothing_left, "the sessions of killed processes to end")

        playing = start_until_held(site, site.target, "migrate.yml", "--tags", "cutover")
        module_at_work(site).kill()
        stopped = playing.end().failed()
    assert "the module ended without a result, it was killed" in stopped.text
    assert "not opened" not in stopped.output
    assert "JSON" not in stopped.output.rpartition("PLAY RECAP")[2]
    one, other = ("target", "source") if site.is_open("target") else ("source", "target")
    assert stopped.output.rstrip().endswith(f"campaign_db: right now the {one} takes writes, the {other} does not")
    site.target.execute(RELEASE_COPY)
    site.play("migrate.yml").succeeded()
    assert site.contents("target") == rows
    assert [site.is_open("source"), site.is_open("target")] == [False, True]


def module_at_work(site: Site) -> psutil.Process:
    """The process of the module that waits for a lock."""
    port = site.target.value(f"SELECT client_port FROM pg_stat_activity WHERE {HELD} LIMIT 1")
    [found] = [
        each for each in site.processes() if port in {link.laddr.port for link in each.net_connections() if link.laddr}
    ]
    return found


def start_until_held(site: Site, where: Database, playbook: str = "migrate.yml", *options: str) -> Playing:
    """A playbook that now waits for what the test holds."""
    playing = site.start(playbook, *options)
    wait_for(lambda: playing.process.poll() is not None or where.value(WAITING), "the playbook to be held")
    assert playing.process.poll() is None, playing.log.read_text()
    return playing


@contextmanager
def held(database: Database, lock: str) -> Iterator[None]:
    """A lock of the superuser for as long as the block lasts."""
    with database.connection() as conn, conn.cursor() as cursor:
        cursor.execute(lock)
        yield


def dumps(site: Site) -> list[str]:
    """What lies in the directories of the runs: dumps, and what is left of one."""
    return sorted(path.name for path in (site.directory / "backups").glob("*/*"))
