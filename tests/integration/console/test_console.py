"""What an operator, a reviewer and a second terminal see of whole runs, one after the other on the same site."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import guide, playbooks
from tests.cluster import Cluster
from tests.playbooks import CONSOLE, ROOT, Site

MOST_LINES = 40
MOST_COLUMNS = 160


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return playbooks.create(cluster, tmp_path_factory.mktemp("console"))


def hooks(site: Site) -> list[str]:
    """Options: hooks that keep what they are told, and where metrics go."""
    keep = f"import sys; open({str(site.directory / 'told')!r}, 'a').write(sys.stdin.read() + chr(10))"
    given = {
        "consolidation_hooks": [
            {"command": [sys.executable, "-c", keep]},
            {"command": ["false"], "events": ["opened"]},
        ],
        "consolidation_metrics_directory": str(site.directory),
    }
    path = site.directory / "hooks.json"
    path.write_text(json.dumps(given))
    return ["-e", f"@{path}"]


def consolidation(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consolidation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def status(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return consolidation("status", "-i", str(site.directory / "hosts.json"), *arguments)


def test_a_look_ends_with_one_page_and_a_file(site: Site) -> None:
    clean = site.everything()
    looked = site.play("migrate.yml", "--check", "--diff", confirm=False, environment=CONSOLE).succeeded()
    assert site.everything() == clean
    shown = "\n".join(guide.lines(looked))
    for expected in (
        "LOOK ONLY, nothing is changed",
        "this was a look, nothing was changed",
        "CREATE TABLE campaign_db.chapters",
        "+ source public.chapters: closed",
        "ASSUMED, nothing was measured yet",
        "No return ",
    ):
        assert expected in shown, shown
    page = site.directory / "runs" / "plan" / "plan.html"
    assert f"Plan       {page}" in shown
    assert "campaign_db" in page.read_text()
    planned = consolidation("plan", str(site.directory / "runs"))
    assert planned.returncode == 0
    assert planned.stdout.splitlines()[0] in shown
    assert status(site).returncode == 0, "no run is none that has stopped"


def test_a_blocked_preflight_ends_with_cause_and_fix(site: Site) -> None:
    campaign = site.sources["campaign_db"]
    campaign.execute("CREATE VIEW v AS SELECT 1 AS one", role="campaign_owner")
    blocked = site.play("playbooks/preflight.yml", confirm=False, environment=CONSOLE).failed()
    campaign.execute("DROP VIEW v", role="campaign_owner")
    guide.shows_of(blocked, "preflight.yml")
    last = guide.lines(blocked)
    assert any(line.startswith("Blocker    source.object.view public.v (campaign_db)") for line in last), blocked.output
    assert sum("DROP VIEW public.v;" in line for line in last) == 1, blocked.output
    assert re.search(r"^preflight +campaign_db +BLOCKED ", blocked.output, re.M)
    assert re.search(r"^Info +target.lineage.pending image_db", blocked.output, re.M), "all that was found, when asked"


def test_a_migration_of_two_databases_fits_a_screen(site: Site) -> None:
    migrated = site.play("migrate.yml", *hooks(site), environment=CONSOLE).succeeded()
    shown = guide.lines(migrated)
    assert len(shown) <= MOST_LINES, migrated.output
    assert max(len(line) for line in shown if "ansible-playbook" not in line) <= MOST_COLUMNS, migrated.output
    assert "TASK" not in migrated.output
    for name in site.sources:
        for phase, state in (
            ("preflight", "ok"),
            ("backup", "done"),
            ("schema", "done"),
            ("fence", "CLOSED"),
            ("copy", "done"),
            ("verify", "equal"),
            ("cutover", "OPEN"),
        ):
            assert re.search(rf"^{phase} +{name} +{state} +[\d.]+ (ms|s) ", migrated.output, re.M), (
                phase,
                migrated.output,
            )
    assert re.search(r"^fence .* source REFUSES WRITES from \d\d:\d\d:\d\d UTC", migrated.output, re.M)
    last = migrated.output[migrated.output.index("\nMIGRATED") :]
    assert f"{site.run_directory / 'report.html'}" in last
    assert re.search(r"^Rollback +\S*ansible-playbook rollback.yml -i \S+ -e @\S+/hooks.json ", last, re.M)
    assert last.count("Rollback ") == 1

    guide.shows(migrated, "migrate.yml")

    told = [json.loads(line) for line in (site.directory / "told").read_text().splitlines()]
    assert {(each["event"], each["database"]) for each in told} == {
        (event, name) for event in ("begin", "fence", "opened", "finished") for name in site.sources
    }
    assert {each["run_id"] for each in told} == {site.report()["run"]["id"]}
    assert "Warning    opened: hook false ended with 1; it stopped nothing" in migrated.output
    [prom] = site.directory.glob("*.prom")
    assert 'consolidation_verified{database="image_db"} 1' in prom.read_text()
    log = (site.run_directory / "log.txt").read_text()
    assert "| Copy the tables | campaign_db | changed" in log, "the log has every task"
    assert "Evidence " in last
    checked = consolidation("evidence", str(site.run_directory))
    assert checked.returncode == 0, checked.stdout
    assert "closed" in checked.stdout


def test_a_finished_run_is_left_as_it_is_and_says_so(site: Site) -> None:
    directory = site.run_directory
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    again = site.play("migrate.yml", *hooks(site), environment=CONSOLE).succeeded()
    assert "is migrated already, nothing is done again" in again.text
    assert "B/s" not in again.text, "nothing was copied, so there is no rate"
    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before
    assert (directory.parent / f"{directory.name}.2" / "log.txt").exists()


def test_a_rollback_and_the_second_terminal(site: Site) -> None:
    closed = site.run_directory
    site.write("target")
    back = site.play("rollback.yml", "--limit", "image_db", environment=CONSOLE).succeeded()
    assert re.search(
        r"^rollback +image_db +OPEN .* source accepts writes from .*, after .* every write", back.output, re.M
    )
    guide.shows(back, "rollback.yml")
    assert "image_db rolled back; campaign_db migrated." in back.text
    assert re.search(r"^Rollback .* --limit campaign_db$", back.output, re.M)
    assert re.fullmatch(rf"{closed.name}\.\d", site.run_directory.name)
    found = status(site, "--json")
    assert found.returncode == 0, found.stderr
    outcomes = {each["database"]: each["outcome"] for each in json.loads(found.stdout)}
    assert outcomes == {"campaign_db": "migrated", "image_db": "rolled back"}
    followed = consolidation("progress", "-i", str(site.directory / "hosts.json"))
    assert followed.returncode == 0
    assert "rolled back" in followed.stdout


def test_a_hook_that_fails_stops_before_the_fence(site: Site) -> None:
    given = json.dumps({"consolidation_hooks": [{"command": ["false", "5ecret"], "events": ["fence"]}]})
    stopped = site.play("migrate.yml", "--limit", "image_db", "-e", given, environment=CONSOLE).failed()
    assert site.is_open("source", "image_db")
    assert stopped.output.count("hook false ended with 1") == 1, stopped.output
    assert re.search(r"^Cause +image_db: hook false ended with 1", stopped.output, re.M)
    assert re.search(r"^Fix +writes are accepted; correct the hook", stopped.output, re.M)
    assert re.search(r"^Resume .* --limit image_db$", stopped.output, re.M)
    assert "5ecret" not in stopped.output
    assert status(site).returncode == 11


def test_ctrl_c_says_whether_writes_are_refused_and_what_to_type(site: Site) -> None:
    playing = site.start("migrate.yml", "--limit", "image_db", environment=CONSOLE)
    playbooks.wait_for(lambda: re.search(r"^backup ", playing.log.read_text(), re.M), "its backup")
    stopped = playing.interrupt().failed()
    playbooks.wait_for(site.nothing_left, "the end of its modules")
    assert re.search(r"^STOPPED +in phase \w+", stopped.output, re.M), stopped.output
    assert re.search(r"^ +image_db: accepted$|^Writes +image_db: accepted$", stopped.output, re.M), stopped.output
    assert re.search(r"^Resume +\S*ansible-playbook migrate.yml -i \S+ --limit image_db ", stopped.output, re.M)
    assert re.search(r"^Rollback +\S*ansible-playbook rollback.yml -i \S+ --limit image_db ", stopped.output, re.M)
    assert site.is_open("source", "image_db")


def test_an_inventory_that_is_none_is_no_success(site: Site, tmp_path: Path) -> None:
    for wrong in (tmp_path / "mistyped", site.directory / "told"):
        command = [playbooks.PROGRAM, "migrate.yml", "-i", wrong, "--check"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode != 0, done.stdout


def test_ansibles_tasks_come_back_with_v(site: Site) -> None:
    verbose = site.play("playbooks/report.yml", "-v", confirm=False, environment=CONSOLE).succeeded()
    assert "TASK [report : " in verbose.output
    assert "PLAY RECAP" in verbose.output
    other = site.play("playbooks/report.yml", confirm=False).succeeded()
    assert "the stdout callback is `default`" in other.text
    assert "TASK [report : " in other.output
    assert re.search(r"^(MIGRATED|UNFINISHED|FAILED)", other.output, re.M), "the last lines come under any callback"
