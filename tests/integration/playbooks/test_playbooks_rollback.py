"""rollback.yml from every state, also when a verification failed and when the source is lost."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests import playbooks
from tests.cluster import BEHIND_THE_FENCE, Cluster
from tests.playbooks import Played, Site

DAMAGE = f"""
{BEHIND_THE_FENCE};
UPDATE campaign_db.chapters SET title = title || '!'
 WHERE id = (SELECT id FROM campaign_db.chapters ORDER BY id LIMIT 1)
"""
KEYS = """
SELECT conrelid::regclass::text AS place, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'campaign_db'::regnamespace
UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'campaign_db' ORDER BY 1, 2
"""


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    return playbooks.create(cluster, tmp_path, ["campaign_db"])


def test_before_the_cutover_the_source_opens_and_the_target_is_empty(site: Site) -> None:
    rows = site.contents("source")
    site.play("migrate.yml", "--tags", "backup,schema,fence").succeeded()
    keys = site.target.rows(KEYS)
    assert_coordinator(site, neither=True)
    for stopped_after in ("fence", "copy"):
        if stopped_after == "copy":
            site.play("migrate.yml", "--tags", "backup,schema,fence,copy").succeeded()
            assert site.contents("target") == rows
        back = site.play("rollback.yml").succeeded()
        assert "campaign_db rolled back." in back.text
        assert_coordinator(site, "source")
        assert {content.rows for content in site.contents("target").values()} == {0}
        assert site.target.rows(KEYS) == keys
        site.write("source")
        rows = site.contents("source")
    site.play("migrate.yml").succeeded()
    assert site.contents("target") == rows
    assert site.target.rows(KEYS) == keys
    assert_coordinator(site, "target")


def test_a_reader_of_the_target_does_not_keep_the_source_closed(site: Site) -> None:
    site.play("migrate.yml", "--tags", "backup,schema,fence,copy").succeeded()
    rollback = ("rollback.yml", "-e", "rollback_timeout_seconds=1")
    with site.target.connection() as reader, reader.cursor() as cursor:
        cursor.execute("SELECT FROM campaign_db.campaigns")
        stopped = site.play(*rollback).failed()
        assert f"in the way: pid {reader.info.backend_pid}" in stopped.text
        site.write("source")
    site.play(*rollback).succeeded()
    assert_coordinator(site, "source")
    assert {content.rows for content in site.contents("target").values()} == {0}


def test_failed_verification_keeps_the_target_closed(site: Site) -> None:
    site.play("migrate.yml", "--tags", "backup,schema,fence,copy").succeeded()
    site.target.execute(DAMAGE)
    for options in (["--tags", "cutover"], []):
        stopped = site.play("migrate.yml", *options).failed()
        assert "campaign_db: " in stopped.text
        assert stopped.output.rstrip().endswith("campaign_db: right now neither side takes writes")
        assert_coordinator(site, neither=True)
    assert "table chapters different" in stopped.text
    report = site.report()
    assert (report["outcome"], report["databases"][0]["outcome"]["phase"]) == ("failed", "verify")
    assert "rollback.yml" in report["rollbacks"][0]["command"]
    evidence = json.loads((site.run_directory / "campaign_db" / "verify.json").read_text())
    assert evidence["result"]["outcome"] == "different"
    site.play("rollback.yml").succeeded()
    assert_coordinator(site, "source")
    site.play("migrate.yml").succeeded()
    assert site.contents("target") == site.contents("source")


def test_a_copy_that_differs_is_repaired(site: Site) -> None:
    site.play("migrate.yml", "--tags", "schema,fence,copy").succeeded()
    rows = site.contents("source")
    assert compare_alone(site).count("outcome: equal") >= 2
    site.target.execute(DAMAGE)
    assert "not proved equal: table chapters different" in compare_alone(site)
    assert "ansible-playbook playbooks/repair.yml" in site.play("migrate.yml", "--tags", "verify").failed().text
    damaged = site.contents("target")
    looked = site.play("playbooks/repair.yml", "--check", "--diff", confirm=False).succeeded()
    assert "campaign_db.chapters: insert 0, update 1, delete 0" in looked.text
    assert "consolidation_confirm=yes" in site.play("playbooks/repair.yml", confirm=False).failed().text
    assert site.contents("target") == damaged != rows
    assert site.play("playbooks/repair.yml").succeeded().changed("campaign_db") == 1
    assert_coordinator(site, neither=True)
    site.play("playbooks/repair.yml").unchanged("campaign_db")
    site.play("migrate.yml", "--tags", "verify,cutover").succeeded()
    assert site.contents("target") == rows
    site.write("target")
    newest = site.contents("target")
    site.play("playbooks/repair.yml").unchanged("campaign_db")
    assert site.contents("target") == newest


def test_rows_that_the_source_has_no_table_for_stop_it_before_the_target_is_closed(site: Site) -> None:
    site.play("migrate.yml").succeeded()
    site.target.execute("CREATE TABLE campaign_db.since AS SELECT 1 AS id", user="consolidation")
    for options in (["--check"], []):
        stopped = site.play("rollback.yml", *options).failed()
        assert "no counterpart among the source's tables: campaign_db.since" in stopped.text
        assert_coordinator(site, "target")
    site.target.execute("DROP TABLE campaign_db.since")
    site.write("target")
    site.play("rollback.yml").succeeded()
    assert_coordinator(site, "source")


def test_lost_source_after_the_cutover(site: Site) -> None:
    """The dump comes back with consent only; what the target has is newer and nothing of it is lost."""
    site.play("migrate.yml").succeeded()
    site.write("target")
    newest = site.contents("target")
    lose(site)
    assert "rollback_source_lost" in site.play("rollback.yml", "--check", confirm=False).failed().text
    before = site.everything()
    looked = site.play("rollback.yml", "--check", "-e", "rollback_source_lost=yes", confirm=False).succeeded()
    assert site.everything() == before
    refused = site.play("rollback.yml", "-e", "rollback_source_lost=yes").failed()
    assert_coordinator_without_source(site)
    assert "loses every later write that the storage database has not" in refused.text
    assert sentence(looked) == sentence(refused)
    wrong = site.play("rollback.yml", *consent("lose writes")).failed()
    assert "give that sentence word by word" in wrong.text
    assert_coordinator_without_source(site)
    back = site.play("rollback.yml", *consent(sentence(refused))).succeeded()
    assert "campaign_db rolled back." in back.text
    assert site.contents("source") == newest
    assert_coordinator(site, "source")
    site.play("rollback.yml").unchanged("campaign_db")
    site.play("migrate.yml").succeeded()
    assert site.contents("target") == newest


def test_lost_source_between_copy_and_cutover(site: Site) -> None:
    """Writes made between dump and fence are in the copy alone: they come back from there."""
    site.play("migrate.yml", "--tags", "backup,schema").succeeded()
    site.write("source")
    site.play("migrate.yml", "--tags", "fence,copy").succeeded()
    newest = site.contents("source")
    lose(site)
    refused = site.play("rollback.yml", "-e", "rollback_source_lost=yes").failed()
    site.play("rollback.yml", *consent(sentence(refused))).succeeded()
    assert site.contents("source") == newest
    assert_coordinator(site, "source")


def test_lost_storage_database(site: Site) -> None:
    """What check mode prints is what opens the source, pasted as it is."""
    site.play("migrate.yml", "--tags", "schema,fence").succeeded()
    site.target.server.stop("immediate")
    try:
        refused = site.play("rollback.yml").failed()
        assert "playbooks/abandon.yml --check" in refused.text
        looked = site.play("playbooks/abandon.yml", "--check", confirm=False).succeeded()
        assert "every write made since is in that database only" in looked.text
        printed = re.search(r"(--limit campaign_db -e '[^']+')", looked.text)
        assert printed, looked.output
        options = shlex.split(printed[1])
        assert printed[1] in site.play("playbooks/abandon.yml", confirm=False).failed().text
        opened = site.play("playbooks/abandon.yml", *options, confirm=False).succeeded()
        assert opened.changed("campaign_db") == 1
        assert "put <config>.before-<run id> in the place of the configuration" in opened.text
        assert site.is_open("source")
        site.play("playbooks/abandon.yml", *options, confirm=False).unchanged("campaign_db")
    finally:
        site.target.server.start()


def compare_alone(site: Site) -> str:
    """The command of docs/verification.md."""
    page = (playbooks.ROOT / "docs" / "verification.md").read_text(encoding="utf-8")
    found = re.search(r"^ +ansible databases .*\\\n.*$", page, re.MULTILINE)
    assert found
    command = found[0].replace("\\\n", "").replace("inventories/production", str(site.directory / "hosts.json"))
    words = shlex.split(command)
    words[0] = str(playbooks.PROGRAM.with_name("ansible"))
    done = subprocess.run(words, cwd=playbooks.ROOT, capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split())


def lose(site: Site) -> None:
    """The disk of the service's database is gone; its server and roles are there."""
    conn = site.sources["campaign_db"].server.connect()
    conn.cursor().execute("DROP DATABASE campaign WITH (FORCE)")
    conn.close()


def consent(words: str) -> list[str]:
    return ["-e", json.dumps({"rollback_source_lost": True, "backup_consent": words})]


def sentence(played: Played) -> str:
    found = re.search(r"lose writes to campaign_db since [0-9T:-]+Z", played.text)
    assert found, played.output
    return found[0]


def assert_coordinator(site: Site, side: str = "", *, neither: bool = False) -> None:
    found = [name for name in ("source", "target") if site.is_open(name)]
    assert found == ([] if neither else [side])


def assert_coordinator_without_source(site: Site) -> None:
    """The service goes on writing to the target: nothing was closed."""
    assert site.is_open("target")
