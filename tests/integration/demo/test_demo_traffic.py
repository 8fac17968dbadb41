"""Live clients, their ledger and its checker: a migration behind a fence is found true, one without is found out."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import checker, data, ledger, services, steps, supervisor
from demo.client import now
from demo.environment import Environment
from demo.steps import DemoError
from demo.traffic import Traffic
from services.tests.harness import prepare_storage
from tests.cluster import Cluster, Database

REFUSE = """
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql
AS $$BEGIN RAISE EXCEPTION 'fenced' USING ERRCODE = 'read_only_sql_transaction'; END$$;
"""
FENCE = "CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON {} EXECUTE FUNCTION public.refuse();"


@pytest.fixture
def live(campaign: Database, image: Database, target: Database, cluster: Cluster, tmp_path: Path) -> Any:
    """The three services running, on the services' own databases; the storage database is ready and empty."""
    prepare_storage(target)
    target.execute("GRANT DELETE ON ALL TABLES IN SCHEMA campaign_db, image_db TO storage_service")
    servers = {"campaign": campaign.server, "image": image.server, "storage": target.server}
    lines = cluster.passfile.read_text().splitlines(keepends=True)
    environment = Environment(tmp_path, servers, services.create(tmp_path / "services", servers, lines))
    try:
        environment.start_services()
        yield environment
    finally:
        for service in environment.services.values():
            service.stop()


def migrate(live: Environment, sources: dict[str, Database], target: Database, *, fenced: bool) -> None:
    """The simplest migration there is, by means of its own: fence (or not), copy, repoint and restart."""
    for service, source in sources.items():
        tables = data.SERVICES[service]
        if fenced:
            source.execute(REFUSE + "".join(FENCE.format(table) for table in tables))
        with source.connection() as here, target.connection() as there:
            here.set_session(isolation_level="REPEATABLE READ")
            for table in tables:
                copy(here, there, f"public.{table}", f"{service}_db.{table}")
            there.commit()
    serve(live.services["storage"], sources)
    time.sleep(0.5)  # without a fence clients still write where the copy has already been
    for service in sources:
        repoint(live.services[service])


def copy(here: Any, there: Any, source: str, target: str) -> None:
    rows = io.StringIO()
    with here.cursor() as reader, there.cursor() as writer:
        reader.execute(f"SELECT * FROM {source} LIMIT 0")
        columns = ", ".join(f'"{column.name}"' for column in reader.description)
        reader.copy_expert(f"COPY {source} ({columns}) TO STDOUT", rows)
        rows.seek(0)
        writer.copy_expert(f"COPY {target} ({columns}) FROM STDIN", rows)


def serve(storage: services.Service, names: Iterable[str]) -> None:
    """Give the Storage Service its databases, as the runbook's schema phase does."""
    config = storage.directory / "config.yml"
    content = yaml.safe_load(config.read_text())
    content["storage"]["databases"] = {f"{name}_db": {"schema": f"{name}_db"} for name in names}
    config.write_text(yaml.safe_dump(content))
    storage.restart()


def repoint(service: services.Service) -> None:
    config = service.directory / "config.yml"
    content = yaml.safe_load(config.read_text())
    content["database"] = {"type": "storage_service", "schema": f"{service.name}_db", "client": "storage_client"}
    config.write_text(yaml.safe_dump(content))
    link = service.directory / "next"
    link.symlink_to("releases/2.0")
    link.rename(service.directory / "current")
    service.restart()


def under_load(live: Environment, sources: dict[str, Database], target: Database, *, fenced: bool) -> Traffic:
    """Clients write before, during and after the migration."""
    with steps.start_clients(live) as traffic:
        wait_for_all_kinds(traffic)
        migrate(live, sources, target, fenced=fenced)
        assert traffic.wait_for_writes(20) == set()
    return traffic


def wait_for_all_kinds(traffic: Traffic) -> None:
    """Until every service has created, changed and deleted children of its own."""
    wanted = {(service, kind) for service in data.SERVICES for kind in ("create", "update", "delete")}
    deadline = time.monotonic() + 60
    seen: list[tuple[str, str]] = []
    while wanted - set(seen) or seen.count(("campaign", "create")) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        seen = [(one.service, one.kind) for one in traffic.operations if one.outcome == "acknowledged"]


def test_writes_survive_a_fenced_migration_and_the_outage_is_measured(
    live: Environment, campaign: Database, image: Database, target: Database
) -> None:
    begin = now()
    traffic = under_load(live, {"campaign": campaign, "image": image}, target, fenced=True)
    steps.judge(live, traffic.operations, "storage")
    steps.prove(live, steps.contents(live, "services"), served_by="storage")
    seen = checker.outages(traffic.operations, begin, now())
    assert {outage.service for outage in seen} == {"campaign", "image"}
    for outage in seen:
        assert 0.5 < outage.seconds < 30
        within_limit = outage.seconds < 8  # what a write waits, on a machine that is busy
        assert outage.errors == {} if within_limit else set(outage.errors) <= {"503 fenced"}
        assert 0.5 < outage.longest_wait < 30
    assert sorted(ledger.read(live.directory / "traffic.jsonl"), key=str) == sorted(traffic.operations, key=str)


def test_a_migration_without_a_fence_is_reported_as_loss(
    live: Environment, campaign: Database, image: Database, target: Database
) -> None:
    traffic = under_load(live, {"campaign": campaign, "image": image}, target, fenced=False)
    with pytest.raises(DemoError, match="acknowledged writes are missing or altered"):
        steps.judge(live, traffic.operations, "storage")
    verdicts = check(traffic, target)
    assert verdicts["campaign"].missing
    assert verdicts["image"].missing


def test_a_killed_service_leaves_unknown_outcomes_and_no_lie(live: Environment) -> None:
    victim = live.services["campaign"]
    with steps.start_clients(live) as traffic:
        assert traffic.wait_for_writes(20) == set()
        for _ in range(5):
            os.kill(supervisor.running(victim.directory) or 0, signal.SIGKILL)
            victim.start()
            assert traffic.wait_for_writes(20) == set()
    steps.judge(live, traffic.operations, "services")


def test_every_kind_of_damage_is_named(live: Environment, campaign: Database, image: Database) -> None:
    with steps.start_clients(live) as traffic:
        wait_for_all_kinds(traffic)
    assert all(verdict.wrong == [] for verdict in check(traffic, campaign, image).values())
    one, two, three, four = [
        token for (token,) in campaign.rows("SELECT title FROM chapters WHERE title LIKE 'traffic-%' LIMIT 4")
    ]
    [dead] = [token for (token,) in image.rows("SELECT type FROM overlays WHERE is_deleted AND type LIKE 't%' LIMIT 1")]
    campaign.execute("DELETE FROM chapters WHERE title = %s", [one])
    campaign.execute(
        """INSERT INTO chapters (id, title, sequence_number, content)
           SELECT gen_random_uuid(), title, sequence_number, content FROM chapters WHERE title = %s""",
        [two],
    )
    campaign.execute("""UPDATE chapters SET content = '{"a": 1}' WHERE title = %s""", [three])
    campaign.execute("UPDATE chapters SET id = gen_random_uuid() WHERE title = %s", [four])
    campaign.execute("INSERT INTO chapters (id, title, sequence_number) VALUES (gen_random_uuid(), 'traffic-new', 1)")
    image.execute("UPDATE overlays SET is_deleted = false WHERE type = %s", [dead])
    verdicts = check(traffic, campaign, image)
    assert verdicts["campaign"].missing == [one]
    assert verdicts["campaign"].duplicated == [two]
    assert set(verdicts["campaign"].altered) == {three, four}
    assert verdicts["campaign"].uncalled == ["traffic-new"]
    assert verdicts["image"].altered == verdicts["image"].wrong == [dead]


def check(traffic: Traffic, *databases: Database) -> dict[str, checker.Verdict]:
    """Verdicts over the services' own databases, or over the one storage database."""
    rows: dict[str, Any] = {}
    for service, tables in data.SERVICES.items():
        for database in databases:
            if database.name in (service, "storage"):
                schema = "public" if database.name == service else f"{service}_db"
                rows |= checker.rows_of(database.server, database.name, schema, tables)
    return checker.check(traffic.operations, rows)
