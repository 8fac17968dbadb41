"""A service that is restarted, or whose table is fenced for a moment, fails no request and does none twice."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from demo import services, supervisor
from demo.services import Service
from services.tests.harness import campaign as new_campaign
from services.tests.harness import fenced, prepare_storage
from tests.cluster import Cluster, Database

ANSWER_SECONDS = 20


@pytest.fixture
def live(campaign: Database, image: Database, target: Database, cluster: Cluster, tmp_path: Path) -> Iterator[Services]:
    """The Campaign Service on its own database, and the Storage Service, below the demo's supervisor."""
    prepare_storage(target)
    servers = {"campaign": campaign.server, "image": image.server, "storage": target.server}
    lines = cluster.passfile.read_text().splitlines(keepends=True)
    made = services.create(tmp_path / "services", servers, lines)
    configure(made["storage"], storage={"databases": {"campaign_db": {"schema": "campaign_db"}}})
    running = [made["storage"], made["campaign"]]
    try:
        for service in running:
            service.start()
        for service in running:
            service.wait_until_it_answers()
        yield made
    finally:
        for service in running:
            service.stop()


Services = dict[str, Service]


def configure(service: Service, **sections: Any) -> None:
    path = service.directory / "config.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))


def repoint(service: Service) -> None:
    """Configuration and release of after the cutover; not restarted."""
    configure(service, database={"type": "storage_service", "schema": "campaign_db", "client": "storage_client"})
    link = service.directory / "next"
    link.symlink_to("releases/2.0")
    link.rename(service.directory / "current")


def client(service: Service) -> httpx.Client:
    return httpx.Client(base_url=service.url, timeout=ANSWER_SECONDS, trust_env=False)


def count(database: Database, schema: str, key: str) -> int:
    return int(database.value(f"SELECT count(*) FROM {schema}.campaigns WHERE id = %s", [key]))


def write_until(enough: threading.Event, service: Service, *, kept: bool) -> list[str]:
    """Write and read without pause; the keys of what was acknowledged. Any failure is raised."""
    keys = []
    with ExitStack() as stack:
        http = stack.enter_context(client(service)) if kept else None
        while not enough.is_set():
            values = new_campaign()
            with ExitStack() as once:
                to = http or once.enter_context(client(service))
                to.post("/campaigns", json=values).raise_for_status()
                to.get(f"/campaigns/{values['id']}").raise_for_status()
            keys.append(values["id"])
    return keys


def test_restarts_under_traffic_fail_no_request(live: Services, campaign: Database) -> None:
    service, enough = live["campaign"], threading.Event()
    with ThreadPoolExecutor() as pool, client(service) as seldom:
        seldom.get("/campaigns").raise_for_status()
        writers = [pool.submit(write_until, enough, service, kept=kept) for kept in (True, True, False, False)]
        try:
            for _ in range(4):
                time.sleep(0.3)
                service.restart()
        finally:
            enough.set()
        keys = [key for writer in writers for key in writer.result()]
        seldom.get("/campaigns").raise_for_status()  # over the connection that was idle all the time
    assert len(keys) > 20
    assert campaign.value("SELECT count(*) FROM campaigns WHERE id = ANY(%s::uuid[])", [keys]) == len(keys)


def test_connection_to_a_killed_service_waits_for_the_next_process(live: Services) -> None:
    service = live["campaign"]
    os.kill(supervisor.running(service.directory) or 0, signal.SIGKILL)
    while service.running:
        time.sleep(0.01)
    with ThreadPoolExecutor() as pool, client(service) as http:
        read = pool.submit(http.get, "/campaigns")
        time.sleep(0.3)
        assert not read.done()
        service.start()
        assert read.result().status_code == 200


def test_stopped_service_refuses_connections(live: Services) -> None:
    service = live["campaign"]
    service.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port), timeout=1)


def test_request_under_way_is_finished(live: Services, campaign: Database) -> None:
    service = live["campaign"]
    with ThreadPoolExecutor() as pool, client(service) as http, client(service) as other:
        row = http.post("/campaigns", json=new_campaign()).json()["id"]
        with campaign.connection() as conn, conn.cursor() as cursor:
            cursor.execute("SELECT FROM campaigns WHERE id = %s FOR UPDATE", [row])
            update = pool.submit(http.patch, f"/campaigns/{row}", json={"state": "changed"})
            time.sleep(0.3)
            restarted = pool.submit(service.restart)
            read = pool.submit(other.get, f"/campaigns/{row}")
            time.sleep(0.3)
            assert not update.done()
            conn.rollback()
        assert update.result().json()["state"] == "changed"
        restarted.result()
        assert read.result().status_code == 200
        assert http.get(f"/campaigns/{row}").json()["state"] == "changed"


def test_write_waits_for_a_fence_to_open_and_happens_once(live: Services, campaign: Database) -> None:
    values = new_campaign()
    with ThreadPoolExecutor() as pool, client(live["campaign"]) as http:
        with fenced(campaign, "public.campaigns"):
            write = pool.submit(http.post, "/campaigns", json=values)
            time.sleep(0.7)
            assert not write.done()
        assert write.result().status_code == 201
    assert count(campaign, "public", values["id"]) == 1


@pytest.mark.parametrize("after_cutover", [False, True], ids=["own database", "Storage Service"])
def test_write_that_has_waited_long_enough_is_refused(
    live: Services, campaign: Database, target: Database, after_cutover: bool
) -> None:
    service, values = live["campaign"], new_campaign()
    configure(service, writes={"fence_wait_seconds": 0.6})
    if after_cutover:
        repoint(service)
    service.restart()
    service.wait_until_it_answers()
    database, schema = (target, "campaign_db") if after_cutover else (campaign, "public")
    with client(service) as http, fenced(database, f"{schema}.campaigns"):
        begun = time.monotonic()
        refused = http.post("/campaigns", json=values)
        assert 0.6 <= time.monotonic() - begun < 5
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:fenced")
        assert int(refused.headers["Retry-After"]) >= 1
        assert http.get("/campaigns").status_code == 200
    assert count(database, schema, values["id"]) == 0


def test_waiting_write_is_done_once_by_the_process_of_after_the_cutover(
    live: Services, campaign: Database, target: Database
) -> None:
    # Without keys of their own: one that is done twice is there twice.
    service, sizes = live["campaign"], (1, 100_000, 900_000)
    values = [new_campaign(name=f"of {size}", description="x" * size) for size in sizes]
    for one in values:
        del one["id"]

    def write(one: dict[str, Any]) -> httpx.Response:
        with client(service) as http:
            http.get("/campaigns").raise_for_status()
            written = http.post("/campaigns", json=one)
            http.get(f"/campaigns/{written.json()['id']}").raise_for_status()  # over the same connection
            return written

    with ThreadPoolExecutor() as pool, fenced(campaign, "public.campaigns"):
        writes: list[Future[httpx.Response]] = [pool.submit(write, one) for one in values]
        time.sleep(0.7)
        assert not any(each.done() for each in writes)
        repoint(service)
        service.restart()
        assert [each.result().status_code for each in writes] == [201] * len(values)
    service.restart()  # what was handed over once is not handed over again
    with client(service) as http:
        http.get("/campaigns").raise_for_status()
    query = "SELECT name, count(*) FROM {}.campaigns WHERE name LIKE 'of %%' GROUP BY name"
    assert dict(target.rows(query.format("campaign_db"))) == {f"of {size}": 1 for size in sizes}
    assert campaign.rows(query.format("public")) == []


def test_waiting_write_of_a_service_that_keeps_no_connections_is_refused(live: Services, campaign: Database) -> None:
    """As over TLS, or where the unit has no file descriptor store."""
    service = live["campaign"]
    service.stop()
    (service.directory / supervisor.SOCKET_FILE).unlink()
    service.start()
    service.wait_until_it_answers()
    with ThreadPoolExecutor() as pool, client(service) as http, fenced(campaign, "public.campaigns"):
        write = pool.submit(http.post, "/campaigns", json=new_campaign())
        time.sleep(0.5)
        service.restart()
        refused = write.result()
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:fenced")
    assert refused.headers["Connection"] == "close"
    assert int(refused.headers["Retry-After"]) >= 1
