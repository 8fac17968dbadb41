"""No password and no row data leaves the databases: not by messages, files, argument lists, environments, journal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it brings no types
import pytest

from tests import playbooks
from tests.cluster import Cluster
from tests.playbooks import Site

MARKER = "Kreuzberg-4711"
ORPHAN = "47110815-dead-4711-beef-471108154711"
TOO_LONG = f"""
ALTER TABLE chapters ALTER title TYPE text;
UPDATE chapters SET title = repeat('{MARKER}', 30) WHERE id = (SELECT id FROM chapters ORDER BY id LIMIT 1)
"""
AN_ORPHAN = f"""
UPDATE chapters SET title = '{MARKER}' WHERE length(title) > 255;
ALTER TABLE chapters ALTER title TYPE varchar(255);
ALTER TABLE chapters DROP CONSTRAINT chapters_campaign_id_fkey;
UPDATE chapters SET campaign_id = '{ORPHAN}' WHERE title = '{MARKER}'
"""
SOUND = f"""
UPDATE chapters SET campaign_id = NULL WHERE campaign_id = '{ORPHAN}';
ALTER TABLE chapters ADD FOREIGN KEY (campaign_id) REFERENCES campaigns
"""


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    return playbooks.create(cluster, tmp_path, ["campaign_db"])


def test_passwords_and_rows_stay_where_they_are(site: Site, cluster: Cluster) -> None:
    campaign = site.sources["campaign_db"]
    loud = ("-vvv", "--diff")
    told = []
    with watched(site) as seen:
        for damage, state in ((TOO_LONG, "22001"), (AN_ORPHAN, "23503")):
            campaign.execute(damage, role="campaign_owner")
            looked = site.play("migrate.yml", *loud).failed()
            assert "preflight found blockers" in looked.text
            failed = site.play("migrate.yml", *loud, "--skip-tags", "preflight").failed()
            assert f"SQLSTATE {state}" in failed.text
            back = site.play("rollback.yml", *loud).succeeded()
            told += [looked.output, failed.output, back.output]
        campaign.execute(SOUND, role="campaign_owner")
        told.append(site.play("migrate.yml", *loud).succeeded().output)
    assert any("pg_dump" in each or "consolidation.copy.worker" in each for each in seen), "the processes were not seen"
    places = {
        "output": "\n".join(told),
        "processes": "\n".join(seen),
        "journal": journal(site),
        **{str(path): text for path, text in files(site)},
    }
    assert any("report.json" in name for name in places)
    passwords = {line.rsplit(":", 1)[1] for line in cluster.passfile.read_text().splitlines()}
    assert len(passwords) > 3
    for secret in (*passwords, "SCRAM-SHA-256$", MARKER, ORPHAN):
        assert [name for name, text in places.items() if secret in text] == [], secret[:4]


@contextmanager
def watched(site: Site) -> Iterator[set[str]]:
    """Command lines and environments of every process of the playbooks, looked at all the time."""
    seen: set[str] = set()
    end = threading.Event()

    def look() -> None:
        while not end.wait(0.05):
            for process in site.processes():
                try:
                    seen.add("\n".join([*process.cmdline(), *map("=".join, process.environ().items())]))
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        end.set()
        watcher.join()


def files(site: Site) -> Iterator[tuple[Path, str]]:
    """Everything that was written, but the rows of the dumps themselves."""
    for place in ("runs", "backups", "home"):
        for path in (site.directory / place).rglob("*"):
            if path.is_file() and path.suffix != ".gz":
                yield path, path.read_text(errors="replace")


def journal(site: Site) -> str:
    """All rows of all tables of the journal."""
    names = site.target.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'consolidation'")
    assert len(names) > 4
    rows = [row for (name,) in names for row in site.target.rows(f"SELECT t::text FROM consolidation.{name} t")]
    return "\n".join(text for (text,) in rows)
