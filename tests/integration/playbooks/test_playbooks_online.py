"""Mode online as operators run it: the source is written all the time, by a writer that knows what was acknowledged."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests import playbooks
from tests.cluster import Cluster
from tests.playbooks import Site, Writer, wait_for

CAPTURE = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zz_consolidation_capture_%%'"


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    return playbooks.online(playbooks.create(cluster, tmp_path), "campaign_db")


def test_there_again_back_and_there_under_a_live_writer(site: Site) -> None:
    """campaign_db online and image_db in a window, in one run."""
    images = site.contents("source")["images"]
    with Writer(site).writing() as writer:
        before = site.everything()
        site.play("migrate.yml", "--check", "--diff", confirm=False).succeeded()
        assert {**before, "source16": None} == {**site.everything(), "source16": None}
        site.play("migrate.yml").succeeded()
        assert (site.is_open("source"), site.is_open("target")) == (False, True)
        site.play("migrate.yml").unchanged("campaign_db", "image_db")
        [campaign, image] = sorted(site.report()["databases"], key=lambda each: str(each["name"]))
        assert campaign["outages"][0]["seconds"] < image["outages"][0]["seconds"]
        site.play("rollback.yml").succeeded()
        assert (site.is_open("source"), site.is_open("target")) == (True, False)
        for database in (site.sources["campaign_db"], site.target):
            assert database.value(CAPTURE) == 0, "nothing of ours is left on the tables but the fence"
        site.play("rollback.yml").unchanged("campaign_db", "image_db")
        site.play("migrate.yml").succeeded()
    print(f"{len(writer.gaps)} writes, longest wait {max(writer.gaps):.3f} s")  # noqa: T201
    writer.check("target")
    assert site.contents("target")["images"] == images
    assert max(writer.gaps) < 5


def test_held_killed_gone_on_and_followed_back(cluster: Cluster, tmp_path: Path) -> None:
    """The operator ends the command before the cutover, then holds it; the control process is killed in the hold."""
    site = playbooks.online(playbooks.create(cluster, tmp_path, ["campaign_db"]), "campaign_db")
    hold, told = site.directory / "backups" / "campaign_db.hold", tmp_path / "told"
    with Writer(site).writing() as writer:
        keep = ["-c", f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + chr(10))"]
        hooks = json.dumps({"consolidation_hooks": [{"command": [sys.executable, *keep]}]})
        stopped = site.play("migrate.yml", "-e", "consolidation_cutover=no", "-e", hooks).succeeded()
        assert "-e consolidation_cutover=yes" in stopped.text
        assert [json.loads(line)["event"] for line in told.read_text().splitlines()] == ["begin", "hold"]
        assert re.search(r"^Resume .* -e consolidation_cutover=no ", stopped.output, re.M), "pasted it closes nothing"
        assert (site.is_open("source"), site.is_open("target")) == (True, False)
        held = site.start("migrate.yml", "-e", "follow_hold=true")
        wait_for(hold.exists, "the hold")
        held.kill()
        hold.unlink()  # the module that was left follows until then; it closes nothing
        wait_for(site.nothing_left, "the end of the module that was left")
        held = site.start("migrate.yml", "-e", "follow_hold=true", "-e", "consolidation_cutover=yes")
        wait_for(hold.exists, "the hold")
        assert (site.is_open("source"), site.is_open("target")) == (True, False)
        hold.unlink()
        held.end().succeeded()
        assert (site.is_open("source"), site.is_open("target")) == (False, True)
        wait_for(lambda: site.target.value(NOTED) > 0, "a write on the target")
        assert site.play("playbooks/follow.yml").succeeded().changed("campaign_db") == 1
        site.play("rollback.yml").succeeded()
    writer.check("source")


NOTED = """
SELECT sum(pg_relation_size(oid)) FROM pg_class
 WHERE relnamespace = 'consolidation'::regnamespace AND relname LIKE 'changed_%%'
"""
