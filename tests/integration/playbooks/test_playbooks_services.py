"""A cutover whose proof fails under live traffic: the run rolls itself back, and the next one comes through."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from consolidation import files
from consolidation.report import outage as report_outage
from demo import checker, data, services, supervisor
from demo.environment import Environment
from demo.ledger import Operation
from demo.traffic import Traffic
from tests import playbooks
from tests.cluster import Cluster
from tests.playbooks import Site

WAIT_SECONDS = 20


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    site = playbooks.create(cluster, tmp_path)
    (tmp_path / "hosts.json").write_text('{"all": {}}')  # the demo's inventory knows the services, too
    try:
        yield site
    finally:
        site.kill_everything()


@pytest.fixture
def live(site: Site, cluster: Cluster, tmp_path: Path) -> Iterator[Environment]:
    """The three services, running on the services' own databases."""
    source, target = site.sources["campaign_db"].server, site.target.server
    servers = {"campaign": source, "image": source, "storage": target}
    lines = cluster.passfile.read_text().splitlines(keepends=True)
    live = Environment(tmp_path, servers, services.create(tmp_path / "services", servers, lines))
    files.write(live.passfile, "".join(lines))
    live.save()
    try:
        live.start_services()
        yield live
    finally:
        for service in live.services.values():
            service.stop()


def test_a_proof_that_fails_leads_one_service_back_with_every_write(site: Site, live: Environment) -> None:
    """An instance that the inventory does not name keeps its session on the source."""
    campaign, image = live.services["campaign"], live.services["image"]
    before = (campaign.directory / "config.yml").read_bytes()
    with traffic(live, "first") as first:
        with site.sources["campaign_db"].connection("campaign_app"):
            failed = migrate(site, "-e", "services_leave_seconds=6").failed()
        assert first.wait_for_writes(WAIT_SECONDS) == set()

    log = (site.run_directory / "log.txt").read_text()
    for name in ("campaign_db", "image_db"):
        begun = log.index(f"start | Switch the hosts of the service, all at once | {name}")
        assert begun < log.index(f"Close the fence of the source, the write outage begins | {name}")
    assert "the cutover failed (smoke_test | Check that the rows are in the new schema, and that no one" in failed.text
    assert "there are sessions of the service on campaign on " in failed.text
    assert (
        "The run was rolled back, no write is lost: the source is authoritative and takes writes, the services use it."
        in failed.text
    )
    assert standing(site) == {"campaign_db": "rolled back", "image_db": "migrated"}
    report = site.report()
    assert report["verdict"] == "campaign_db rolled back automatically; image_db migrated."
    [campaign_db] = [each for each in report["databases"] if each["name"] == "campaign_db"]
    assert "there are sessions of the service on campaign on " in campaign_db["outcome"]["reason"]
    [seen_by_clients] = campaign_db["service_outages"]
    assert seen_by_clients["seconds"] > sum(outage["seconds"] for outage in campaign_db["outages"])
    [image_db] = [each for each in report["databases"] if each["name"] == "image_db"]
    waits = [one.answered - one.sent for one in first.operations if one.service == "image"]
    assert max(waits) < image_db["service_outages"][0]["seconds"], "no client has waited longer than that"
    assert brought_back(site) > 0, "clients wrote on the new side before the proof failed"
    assert {side: site.is_open(side) for side in ("source", "target")} == {"source": True, "target": False}
    assert {side: site.is_open(side, "image_db") for side in ("source", "target")} == {"source": False, "target": True}
    assert (campaign.directory / "config.yml").read_bytes() == before
    assert (release(campaign), kept(campaign), backend(campaign)) == ("1.0", 0, "postgresql")
    assert (release(image), kept(image), backend(image)) == ("2.0", 3, "storage_service")
    assert wrong(site, first.operations, campaign="source", image="target") == []
    assert proofs(site) == 0

    with traffic(live, "second") as second:
        migrate(site).succeeded()
        assert second.wait_for_writes(WAIT_SECONDS) == set()
    assert standing(site) == {"campaign_db": "migrated"}
    assert (release(campaign), kept(campaign), backend(campaign)) == ("2.0", 3, "storage_service")
    assert wrong(site, [*first.operations, *second.operations], campaign="target", image="target") == []
    assert proofs(site) == 0
    for service, operations in (("image", first.operations), ("campaign", second.operations)):
        mine = [one for one in operations if one.service == service]
        assert {one.answer for one in mine} <= {"200", "201", "503 fenced"}, "no connection is refused or cut off"
        assert max(one.answered - one.sent for one in mine) > 0.5, "writes wait for the opening"


def test_the_hosts_of_one_service_are_switched_at_the_same_time(site: Site, live: Environment, tmp_path: Path) -> None:
    """Over and back: the outage is the slowest host, not the sum."""
    first = live.services["campaign"]
    second = another_host(first, tmp_path / "second" / "campaign")
    second.start()
    try:
        second.wait_until_it_answers()
        hosts = {"campaign_1": first, "campaign_2": second}
        (tmp_path / "slow.json").write_text(json.dumps({"all": {"children": {"campaign_service": {"hosts": {
            name: variables(service) for name, service in hosts.items()}}}}}))  # fmt: skip
        slow = ("-i", str(tmp_path / "slow.json"), "--limit", "campaign_db", "-e", "services_quiet_seconds=0")
        migrate(site, *slow).succeeded()
        assert {backend(service) for service in hosts.values()} == {"storage_service"}
        assert together(hosts.values()), [restarts(service) for service in hosts.values()]
        [outage] = service_outages(site)
        assert outage < 60
        known_as_healthy(site, hosts.values(), report_outage.HEALTHY)

        inventory = ("-i", "inventories/demo", "-e", f"demo_directory={site.directory}")
        site.play("rollback.yml", *inventory, *slow).succeeded()
        assert {backend(service) for service in hosts.values()} == {"postgresql"}
        assert together(hosts.values()), [restarts(service) for service in hosts.values()]
        known_as_healthy(site, hosts.values(), report_outage.REPOINTED_BACK)
    finally:
        second.stop()


def another_host(service: services.Service, directory: Path) -> services.Service:
    """The same service once more, as on another host; the supervisor knows it by its folder's name."""
    shutil.copytree(service.directory, directory, symlinks=True, ignore=shutil.ignore_patterns("service.*"))
    [port] = itertools.islice(services._free_ports(), 1)
    config = directory / "config.yml"
    text = config.read_text().replace(f"port: {service.port}", f"port: {port}")
    config.write_text(text.replace(str(service.directory), str(directory)))
    (directory / supervisor.SOCKET_FILE).write_text(f"127.0.0.1:{port}\n")
    return services.Service(service.name, directory, port)


RESTART_SECONDS = 4
NOTED = (
    "import subprocess, sys, time; begun = time.time(); time.sleep({}); subprocess.run(sys.argv[2:], check=True); "
    "print(begun, time.time(), file=open(sys.argv[1], 'a'))"
)


def variables(service: services.Service) -> dict[str, Any]:
    """The host's, with a restart that takes its time and notes when it began and ended."""
    restart = [sys.executable, supervisor.__file__, str(service.directory), "restart"]
    note = [sys.executable, "-c", NOTED.format(RESTART_SECONDS), str(service.directory / "restarts")]
    api = {"url": service.url, "path": "/campaigns", "table": "campaigns", "record": {
        "name": "The runbook's proof", "creator_id": str(UUID(int=1)), "owner_id": str(UUID(int=1))}}  # fmt: skip
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "service_directory": str(service.directory),
        "service_config": str(service.directory / "config.yml"),
        "service_health_url": f"{service.url}/health",
        "service_release": str(service.directory),
        "service_release_next": "2.0",
        "service_api": api,
        "service_commands": {"restart": [*note, *restart]},
    }


def restarts(service: services.Service) -> list[tuple[float, float]]:
    """Begin and end of each."""
    lines = (service.directory / "restarts").read_text().splitlines()
    return [(float(line.split()[0]), float(line.split()[1])) for line in lines]


def together(hosts: Iterable[services.Service]) -> bool:
    """Whether every host's last restart had begun before the first of them ended."""
    last = [restarts(service)[-1] for service in hosts]
    return max(begun for begun, _ in last) < min(ended for _, ended in last)


def known_as_healthy(site: Site, hosts: Iterable[services.Service], seen: str) -> None:
    """The outage of the report ends when the slowest host was healthy: not before, and not with what came after it."""
    last = service_outages_of(site)[-1]
    back_at = datetime.fromisoformat(last["back_at"]).timestamp()
    assert last["seen"] == seen
    assert back_at > max(restarts(service)[-1][1] for service in hosts)
    phases = site.report()["databases"][0]["journal"]["phases"]
    name = "cutover_services" if seen == report_outage.HEALTHY else "rollback_services"
    [noted] = [phase for phase in phases if phase["name"] == name]
    assert back_at < datetime.fromisoformat(noted["started_at"]).timestamp()


def service_outages(site: Site) -> list[float]:
    return [each["seconds"] for each in service_outages_of(site)]


def service_outages_of(site: Site) -> list[dict[str, Any]]:
    return [each for database in site.report()["databases"] for each in database["service_outages"]]


OWN_REFUSAL = """
CREATE FUNCTION campaign_db.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not today''; END';
CREATE TRIGGER refuse BEFORE DELETE ON campaign_db.chapters EXECUTE FUNCTION campaign_db.refuse()"""
"""Behind the fence's trigger in the order of names: seen only once that is open."""


def test_a_target_that_opens_to_nobody_leads_back_before_the_services_are_switched(
    site: Site, live: Environment
) -> None:
    campaign = live.services["campaign"]
    before = (campaign.directory / "config.yml").read_bytes()
    one = ("--limit", "campaign_db", "--tags")
    migrate(site, *one, "backup,schema,fence,copy,verify").succeeded()
    site.target.execute(OWN_REFUSAL)
    failed = migrate(site, *one, "cutover").failed()
    assert "storage_service cannot write campaign_db.chapters after the opening" in failed.text
    assert (
        "The run was rolled back, no write is lost: the source is authoritative and takes writes, the services use it."
        in failed.text
    )
    assert standing(site) == {"campaign_db": "rolled back"}
    site.target.execute("DROP FUNCTION campaign_db.refuse() CASCADE")
    assert {side: site.is_open(side) for side in ("source", "target")} == {"source": True, "target": False}
    assert (campaign.directory / "config.yml").read_bytes() == before
    assert (release(campaign), kept(campaign), backend(campaign)) == ("1.0", 0, "postgresql")


def migrate(site: Site, *options: str) -> playbooks.Played:
    inventory = ("-i", "inventories/demo", "-e", f"demo_directory={site.directory}", "-e", "consolidation_mode=window")
    return site.play("migrate.yml", *inventory, *options)


def traffic(live: Environment, name: str) -> Traffic:
    urls = {name: live.services[name].url for name in data.SERVICES}
    return Traffic(urls, live.directory / f"{name}.jsonl")


def standing(site: Site) -> dict[str, str]:
    return {database["name"]: database["outcome"]["kind"] for database in site.report()["databases"]}


def brought_back(site: Site) -> int:
    """Rows that the rollback has brought to the source."""
    [database] = [each for each in site.report()["databases"] if each["name"] == "campaign_db"]
    [phase] = [each for each in database["journal"]["phases"] if each["name"] == "reconcile"]
    return int(phase["result"]["rows"])


def backend(service: services.Service) -> str:
    health: dict[str, Any] = httpx.get(f"{service.url}/health", trust_env=False).raise_for_status().json()
    return str(health["storage"]["backend"])


def release(service: services.Service) -> str:
    return (service.directory / "current").resolve().name


def kept(service: services.Service) -> int:
    """How much the runbook has left for the rollback."""
    return len([path for path in service.directory.iterdir() if "before-" in path.name or "after-" in path.name])


def proofs(site: Site) -> int:
    """Rows that the runbook's smoke tests have left anywhere."""
    query = "SELECT count(*) FROM {}.campaigns WHERE name = 'The runbook''s smoke test'"
    sides = {"public": site.sources["campaign_db"], "campaign_db": site.target}
    return sum(database.value(query.format(schema)) for schema, database in sides.items())


def wrong(site: Site, operations: Iterable[Operation], **sides: str) -> list[str]:
    """Records of which an acknowledgement is not true of the authoritative side, by service."""
    rows: checker.Rows = {}
    for service, side in sides.items():
        database = site.sources[f"{service}_db"] if side == "source" else site.target
        schema = "public" if side == "source" else f"{service}_db"
        rows = {**rows, **checker.rows_of(database.server, database.name, schema, data.SERVICES[service])}
    return [token for verdict in checker.check(operations, rows).values() for token in verdict.wrong]
