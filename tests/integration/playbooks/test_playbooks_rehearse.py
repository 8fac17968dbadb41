"""rehearse.yml, and what migrate.yml makes of its ticket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import guide, playbooks
from tests.cluster import Cluster
from tests.playbooks import CONSOLE, Site, Writer

REQUIRED = ("-e", "consolidation_rehearsal_required=true")


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    return playbooks.create(cluster, tmp_path, ["campaign_db"])


def test_the_estimate_of_the_window_follows_from_the_rehearsal(site: Site) -> None:
    looked = site.play("migrate.yml", "--check", *REQUIRED, confirm=False).failed()
    assert "rehearsal.missing" in looked.text
    before = site.everything()
    guide.shows(site.play("rehearse.yml", environment=CONSOLE).succeeded(), "rehearse.yml")
    after = site.everything()
    assert {name: each for name, each in after.items() if name != "runs"} == {
        name: each for name, each in before.items() if name != "runs"
    }
    assert site.is_open("source")

    looked = site.play("migrate.yml", "--check", *REQUIRED, confirm=False).succeeded()
    assert "rehearsal.missing" not in looked.text
    plan = json.loads((site.directory / "runs" / "plan" / "plan.json").read_text())
    assert "measured by the rehearsal of" in plan["databases"][0]["basis"]
    assert plan["databases"][0]["expected_outage_seconds"] > 0


def test_online_the_source_is_followed_and_a_window_that_is_over_closes_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    site = playbooks.online(playbooks.create(cluster, tmp_path, ["campaign_db"]), "campaign_db")
    with Writer(site).writing() as writer:
        rehearsed = site.play("rehearse.yml", "-e", "rehearse_minutes=0.05").succeeded()
        assert "95 of 100 within" in rehearsed.text
        looked = site.play("migrate.yml", "--check", *REQUIRED, confirm=False).succeeded()
        assert "source.capture.left" not in looked.text
        [planned] = json.loads((site.directory / "runs" / "plan" / "plan.json").read_text())["databases"]
        assert "rounds took no longer than the last round here" in planned["basis"]
        assert {"change-over", "last round"} <= planned["expected_seconds"].keys()
        stopped = site.play("migrate.yml", "-e", "consolidation_window_end=2026-01-01T00:00:00+00:00").failed()
        assert "NO-GO" in stopped.text
        assert (site.is_open("source"), site.is_open("target")) == (True, False)
        [left] = site.report()["databases"][0]["left"]
        assert "rollback.yml removes them" in left
    writer.check("source")


def test_a_window_that_is_too_short_closes_nothing_and_one_that_is_over_rolls_back(site: Site) -> None:
    over = ("-e", "consolidation_window_end=2026-01-01T00:00:00+00:00")
    stopped = site.play("migrate.yml", *over).failed()
    assert "NO-GO" in stopped.text
    assert site.is_open("source")
    rows = site.contents("source")

    site.play("migrate.yml", "--tags", "fence,copy,verify").succeeded()
    assert not site.is_open("source")
    stopped = site.play("migrate.yml", *over).failed()
    assert "did not fit into the window" in stopped.text
    assert site.is_open("source")
    assert site.contents("source") == rows
    assert site.report()["outcome"] == "rolled back"
    site.play("migrate.yml", "-e", "consolidation_window_end=2126-01-01T00:00:00+00:00").succeeded()
