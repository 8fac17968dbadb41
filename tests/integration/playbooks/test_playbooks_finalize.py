"""finalize.yml, and what the other commands do afterwards."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import guide, playbooks
from tests.cluster import Cluster
from tests.playbooks import CONSOLE, ROOT, Played, Site


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    return playbooks.create(cluster, tmp_path)


def consent(played: Played) -> list[str]:
    """The options that a command has printed for campaign_db."""
    found = re.findall(r"(?:retire the source|drop the retired source) of campaign_db as of run [0-9TZ-]+", played.text)
    assert found, played.output
    return ["--limit", "campaign_db", "-e", json.dumps({"finalize_consent": found[-1]})]


def status(site: Site) -> dict[str, str]:
    """Database -> what is said of its rollback."""
    program = Path(sys.executable).with_name("consolidation")
    command = [str(program), "status", "--json", "-i", str(site.directory / "hosts.json")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {each["database"]: each["rollback"] for each in json.loads(found.stdout)}


def test_one_database_is_retired_and_dropped_and_the_other_one_stays_as_it_was(site: Site) -> None:
    site.play("migrate.yml").succeeded()
    before = site.everything()
    looked = site.play("finalize.yml", "--check", "--diff", confirm=False).succeeded()
    assert "ALLOW_CONNECTIONS false" in looked.text
    assert "this archives and retires the source" in site.play("finalize.yml", confirm=False).failed().text
    assert site.everything()["source16"] == before["source16"]

    retire = consent(looked)
    done = site.play("finalize.yml", *retire, confirm=False, environment=CONSOLE).succeeded()
    guide.shows(done, "finalize.yml")
    assert "FINALIZED" in done.text or "campaign_db migrated and finalized" in done.text
    assert {database["name"]: database["outcome"]["kind"] for database in site.report()["databases"]} == {
        "campaign_db": "finalized",
        "image_db": "migrated",
    }
    assert [command["databases"] for command in site.report()["rollbacks"]] == [["image_db"]]
    assert status(site) == {"campaign_db": "none, finalized", "image_db": "available"}

    refused = site.play("rollback.yml", "--limit", "campaign_db").failed()
    assert "is finalized: the source is retired, there is nothing to roll back to" in refused.text
    site.play("migrate.yml").unchanged("campaign_db", "image_db")
    looked = site.play("migrate.yml", "--check", "--limit", "campaign_db", confirm=False).succeeded()
    assert "run.finalized" in looked.text
    again = site.play("finalize.yml", *retire, confirm=False)
    again.unchanged("campaign_db")

    drop = consent(again)
    assert drop != retire
    site.play("finalize.yml", *drop, confirm=False).succeeded()
    names = {
        name for (name,) in site.sources["image_db"].rows("SELECT datname FROM pg_database WHERE NOT datistemplate")
    }
    assert names == {"postgres", "image"}
    site.play("finalize.yml", *drop, confirm=False).unchanged("campaign_db")
    site.play("rollback.yml", "--limit", "image_db").succeeded()
