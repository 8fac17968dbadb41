"""The nights of a lost journal and of two open sides, with the commands that an operator has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests import playbooks
from tests.cluster import Cluster
from tests.playbooks import Played, Site

RESOLVE = "playbooks/resolve.yml"


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    return playbooks.create(cluster, tmp_path, ["campaign_db"])


def option(played: Played, keep: str) -> list[str]:
    """The option as it is printed, pasted."""
    found = re.search(rf"(-e '{{\"resolve_keep\": \"keep the rows of the {keep} [^']+')", played.text.replace("\\", ""))
    assert found, played.output
    return shlex.split(found[1])


def refused(site: Site, *others: str) -> None:
    """Every command stops before it changes anything, and names the one that resolves it."""
    before = site.everything()
    for command in ("migrate.yml", "rollback.yml", *others):
        stopped = site.play(command).failed()
        assert RESOLVE in stopped.text, stopped.output
        assert re.search(r"campaign_db: right now [a-z, ]+$", stopped.output.rstrip()), stopped.output
        assert not re.search(r"TRUNCATE|DISABLE TRIGGER", stopped.text)
    after = site.everything()
    assert {name: each for name, each in after.items() if name != "runs"} == {
        name: each for name, each in before.items() if name != "runs"
    }


def test_one_command_leads_on_whatever_was_lost_or_opened(site: Site) -> None:
    site.play("migrate.yml").succeeded()
    site.write("target")
    newest = site.contents("target")
    site.target.execute("DROP SCHEMA consolidation CASCADE")
    refused(site, "playbooks/abandon.yml")

    before = site.everything()
    looked = site.play(RESOLVE, "--check", "--diff", confirm=False)
    looked.unchanged("campaign_db")
    assert "right now the target takes writes, the source does not" in looked.text
    assert site.everything() == before
    assert option(site.play(RESOLVE).failed(), "target") == option(looked, "target")
    site.play(RESOLVE, *option(looked, "target")).succeeded()
    assert site.contents("source") == site.contents("target") == newest
    assert site.is_open("target")
    assert not site.is_open("source")
    site.play(RESOLVE).unchanged("campaign_db")
    assert "migrated" in site.play("migrate.yml").succeeded().text

    for table in ("campaigns", "chapters"):
        site.sources["campaign_db"].execute(
            f"ALTER TABLE {table} DISABLE TRIGGER aa_consolidation_fence, DISABLE TRIGGER aa_consolidation_fence_rows"
        )
    for side in ("source", "target"):
        site.write(side)
    newest = site.contents("source")
    refused(site, "playbooks/repair.yml", "playbooks/cancel_rollback.yml")
    kept = site.play(RESOLVE, *option(site.play(RESOLVE).failed(), "source")).succeeded()
    assert "given_up-1" in kept.text
    assert site.contents("source") == newest
    assert site.is_open("source")
    assert not site.is_open("target")
    assert list((site.directory / "backups").rglob("campaigns.csv"))
    site.play("rollback.yml").unchanged("campaign_db")
    site.play("migrate.yml").succeeded()
    assert site.contents("target") == newest
