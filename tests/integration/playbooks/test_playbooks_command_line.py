"""No option of ansible-playbook leads around the checks, and a command that did nothing does not exit 0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import playbooks
from tests.cluster import Cluster, digest_of_everything
from tests.playbooks import Site

CLOSE = "Close the fence of the source, the write outage begins"


@pytest.fixture(scope="module")
def fresh(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two databases that no test of this module changes."""
    return playbooks.create(cluster, tmp_path_factory.mktemp("fresh"))


def test_start_at_task_does_not_go_around_the_confirmation(cluster: Cluster, tmp_path: Path) -> None:
    site = playbooks.create(cluster, tmp_path, ["campaign_db"])
    site.play("migrate.yml", "--tags", "schema").succeeded()
    before = site.target.rows("SELECT name, attempts FROM consolidation.phase ORDER BY name")
    for task in (CLOSE, "Grant the target's roles what they need", "Copy the tables"):
        played = site.play("migrate.yml", "--start-at-task", task, confirm=False).failed()
        assert "this command has begun no run" in played.text, task
        assert "Nothing was done" not in played.text
    assert site.is_open("source")
    assert site.target.rows("SELECT name, attempts FROM consolidation.phase ORDER BY name") == before


def test_skip_tags_does_not_go_around_the_run_of_another_control_node(cluster: Cluster, tmp_path: Path) -> None:
    site = playbooks.create(cluster, tmp_path, ["campaign_db"])
    site.play("migrate.yml", "--tags", "schema").succeeded()
    site.target.execute('UPDATE consolidation.run SET control = \'{"host": "other", "pid": 1, "started": "1"}\'')
    site.play("migrate.yml", "--tags", "fence").failed()
    site.play("migrate.yml", "--skip-tags", "preflight,backup,copy,verify,cutover").failed()
    site.play("migrate.yml", "--skip-tags", "always").failed()
    assert site.is_open("source")


def test_skip_tags_on_a_fresh_database(cluster: Cluster, tmp_path: Path) -> None:
    site = playbooks.create(cluster, tmp_path, ["campaign_db"])
    site.play("migrate.yml", "--skip-tags", "preflight,cutover").succeeded()
    assert site.target.value("SELECT state FROM consolidation.phase WHERE name = 'verify'") == "done"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--limit", "storage_db"], "leaves no host of group databases"),
        (["--limit", "runner"], "leaves no host of group databases"),
    ],
)
def test_a_limit_that_leaves_no_database_is_no_success(fresh: Site, options: list[str], words: str) -> None:
    for playbook in ("migrate.yml", "rollback.yml"):
        assert words in fresh.play(playbook, *options).failed().text


def test_an_inventory_without_databases_is_no_success(fresh: Site, tmp_path: Path) -> None:
    inventory = json.loads((fresh.directory / "hosts.json").read_text())
    inventory["all"]["children"]["database"] = inventory["all"]["children"].pop("databases")
    (tmp_path / "home").mkdir()
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    misspelt = Site(tmp_path, fresh.sources, fresh.target)
    assert "has no host in group databases" in misspelt.play("migrate.yml").failed().text


@pytest.mark.parametrize(
    ("option", "words"),
    [("name", "share a consolidation_database.name"), ("source", "share tables of a source: campaign_db and image_db")],
)
def test_two_hosts_for_one_database_are_refused(fresh: Site, tmp_path: Path, option: str, words: str) -> None:
    inventory = json.loads((fresh.directory / "hosts.json").read_text())
    hosts = inventory["all"]["children"]["databases"]["hosts"]
    hosts["image_db"]["consolidation_database"][option] = hosts["campaign_db"]["consolidation_database"][option]
    (tmp_path / "home").mkdir()
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    before = digest_of_everything(fresh.target.server)
    twice = Site(tmp_path, fresh.sources, fresh.target)
    assert words in twice.play("migrate.yml").failed().text
    assert digest_of_everything(fresh.target.server) == before


def test_a_mode_that_a_database_would_not_take_up_is_refused(fresh: Site) -> None:
    before = digest_of_everything(fresh.target.server)
    played = fresh.play("migrate.yml", "--limit", "image_db", "-e", "consolidation_mode=online").failed()
    assert "consolidation_mode is not the mode of consolidation_database: image_db" in played.text
    assert digest_of_everything(fresh.target.server) == before
