"""rehearse.yml, and what migrate.yml makes of its ticket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import playbooks
from tests.cluster import Cluster
from tests.playbooks import Site

REQUIRED = ("-e", "consolidation_rehearsal_required=true")


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    return playbooks.create(cluster, tmp_path, ["campaign_db"])


def test_the_estimate_of_the_window_follows_from_the_rehearsal(site: Site) -> None:
    looked = site.play("migrate.yml", "--check", *REQUIRED, confirm=False).failed()
    assert "rehearsal.missing" in looked.text
    before = site.everything()
    site.play("rehearse.yml").succeeded()
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
