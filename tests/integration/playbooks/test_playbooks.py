"""migrate.yml and rollback.yml as an operator runs them: look, do, do again, go back, go again."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests import playbooks
from tests.cluster import Cluster
from tests.playbooks import Site

PHASES = ["Preflight", "Begin", "Backup", "Schema", "Fence", "Copy", "Verify", "Cutover", "Report"]


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    return playbooks.create(cluster, tmp_path)


def test_look_migrate_go_back_and_go_again(site: Site) -> None:
    clean = site.everything()
    rows = site.contents("source")
    looked = site.play("migrate.yml", "--check", "--diff", confirm=False).succeeded()
    assert_says_what_would_be_done(looked.text)
    assert site.everything() == clean

    migrated = site.play("migrate.yml").succeeded()
    assert "campaign_db, image_db migrated." in migrated.text
    assert site.contents("target") == site.contents("source") == rows
    assert_coordinator(site, "target")
    assert_kept(site, "migrated")
    assert_few_tasks(site)

    done = site.everything()
    again = site.play("migrate.yml")
    again.unchanged(*site.sources)
    assert "nothing to do; ansible-playbook rollback.yml rolls it back" in again.text
    site.play("migrate.yml", "--check", "--diff", confirm=False).unchanged(*site.sources)
    changed = {name for name, held in site.everything().items() if held != done[name]}
    assert changed <= {"runs", "backups"}  # the log goes on, and the files that progress is followed by

    site.write("target")
    newest = site.contents("target")
    assert newest != rows
    written = site.everything()
    looked = site.play("rollback.yml", "--check", "--diff", confirm=False).succeeded()
    assert "public.campaigns: insert 10, update 0, delete 0" in looked.text
    assert site.everything() == written

    back = site.play("rollback.yml").succeeded()
    assert "campaign_db, image_db rolled back." in back.text
    assert site.contents("source") == newest
    assert_coordinator(site, "source")
    assert_kept(site, "rolled back")

    site.play("rollback.yml").unchanged(*site.sources)
    site.write("source")
    newest = site.contents("source")
    site.play("migrate.yml").succeeded()
    assert site.contents("target") == newest
    assert_coordinator(site, "target")
    assert_kept(site, "migrated")


def test_one_database_alone_and_one_phase_alone(site: Site) -> None:
    """A blocker stops every database, in check mode too; what --limit leaves out stays as it was."""
    campaign = site.sources["campaign_db"]
    clean = site.everything()
    campaign.execute("ALTER TABLE campaigns ALTER name DROP NOT NULL; UPDATE campaigns SET name = NULL")
    for options in ([], ["--check"]):
        refused = site.play("migrate.yml", *options).failed()
        assert "campaign_db: preflight found blockers" in refused.text
        assert "Nothing was changed" in refused.text
    assert clean["target18"] == site.everything()["target18"]
    campaign.execute("UPDATE campaigns SET name = id::text; ALTER TABLE campaigns ALTER name SET NOT NULL")
    site.play("migrate.yml", "--tags", "preflight", confirm=False).succeeded()
    early = site.play("migrate.yml", "--tags", "copy", "--limit", "campaign_db").failed()
    assert "is not fenced" in early.text
    assert site.everything()["source16"]["image"] == clean["source16"]["image"]

    rows = site.contents("source")
    helpers = json.dumps({"copy_helpers": ["runner", "unreachable"]})
    alone = site.play("migrate.yml", "--limit", "campaign_db", "-e", helpers).succeeded()
    assert "-e consolidation_confirm=yes --limit campaign_db campaign_db: available" in alone.text
    assert "campaign_db migrated." in alone.text
    assert re.search(r"campaign_db: \S+ (has loaded \d+ chunks|found nothing to load)", alone.text)
    assert "UNREACHABLE" in alone.text
    assert "Cause" not in alone.text
    assert site.everything()["source16"]["image"] == clean["source16"]["image"]
    assert site.target.value("SELECT to_regnamespace('image_db') IS NULL")
    first = site.report()
    assert site.play("migrate.yml").succeeded().changed("campaign_db") == 0
    assert site.contents("target") == rows
    assert_coordinator(site, "target")
    assert [database["name"] for database in first["databases"]] == ["campaign_db"]
    assert [database["name"] for database in site.report()["databases"]] == ["image_db"]

    back = site.play("rollback.yml", "--limit", "image_db").succeeded()
    assert "image_db rolled back." in back.text
    assert site.is_open("source", "image_db")
    assert not site.is_open("source", "campaign_db")
    assert site.is_open("target", "campaign_db")


def test_command_line_is_checked_before_anything_is_done(site: Site) -> None:
    clean = site.everything()
    for options in (["--tags", "copy,fense"], ["--skip-tags", "fense"]):
        unknown = site.play("migrate.yml", *options).failed()
        assert "Unknown tag: fense. Nothing was done. Known tags: preflight, backup, schema" in unknown.text
    assert "Known tags: rollback, report" in site.play("rollback.yml", "--tags", "copy").failed().text
    for playbook in ("migrate.yml", "rollback.yml"):
        unconfirmed = site.play(playbook, confirm=False).failed()
        assert "Nothing was done." in unconfirmed.text
        assert "-e consolidation_confirm=yes" in unconfirmed.text
    assert "the journal knows no run Next: nothing to roll back" in site.play("rollback.yml").failed().text
    listed = site.play("migrate.yml", "--list-tasks").succeeded().output
    plays = [line.split(": ")[1].split()[0].rstrip(",") for line in listed.splitlines() if line.startswith("  play #")]
    assert plays == ["Check", "Preflight", "Prepare", "Window", "Report"]
    assert site.everything() == clean


def assert_says_what_would_be_done(text: str) -> None:
    for expected in (
        "the journal, and a new run",
        "pg_dump --dbname=",
        "restore drill: database consolidation_drill_RUN_image_db",
        "CREATE TABLE campaign_db.chapters",
        "GRANT USAGE ON SCHEMA",
        "source public.chapters: absent",
        "public.chapters -> campaign_db.chapters: about 200 rows",
        "public.overlays with its copy in image_db: about 120 rows",
    ):
        assert expected in text, text


def assert_coordinator(site: Site, side: str) -> None:
    for name in site.sources:
        assert [site.is_open("source", name), site.is_open("target", name)] == [side == "source", side == "target"]


def assert_few_tasks(site: Site) -> None:
    """Who reads along with -v has few headers to read, fewest while writes are refused; skipped ones count."""
    [begun, *_] = (site.run_directory / "log.txt").read_text().split("Z END\n")
    line = re.compile(
        r"^\S+Z (?P<task>[^|]+\|.+?) \| (?:localhost|campaign_db) \| (?:ok|changed|skipped)", re.MULTILINE
    )
    headers = [found["task"] for found in line.finditer(begun)]
    assert len(headers) <= 60, headers
    [closed] = [number for number, header in enumerate(headers) if "Close the fence of the source" in header]
    [opened] = [number for number, header in enumerate(headers) if "Open the target, the write outage" in header]
    assert len(between := headers[closed + 1 : opened]) <= 8, between


def assert_kept(site: Site, outcome: str) -> None:
    """The run directory holds the report, every phase's result and their digests, for the operator's eyes only."""
    directory = site.run_directory
    report = site.report()
    assert report["outcome"] == outcome
    kept = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    phases = ["backup", "schema", "schema_fence", "fence_prepare", "fence", "copy", "verify", "cutover"]
    assert {f"{name}/{phase}.json" for name in site.sources for phase in phases} <= kept
    assert {"report.html", "report.json", "log.txt", "SHA256SUMS"} <= kept
    evidence = json.loads((directory / "campaign_db" / "verify.json").read_text())
    assert evidence["result"]["outcome"] == "equal"
    assert all(database["outages"][0]["seconds"] > 0 for database in report["databases"])
    html = (directory / "report.html").read_text()
    assert "campaign_db" in html
    summed = (directory / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in summed} == kept - {"SHA256SUMS"}
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    checked = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    for place in ("backups", "runs"):
        paths = [site.directory / place, *(site.directory / place).rglob("*")]
        modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in paths}
        assert modes - {(False, 0o400)} == {(True, 0o700), (False, 0o600)}, modes  # the index of what is closed
