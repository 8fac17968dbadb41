"""Health, metrics, and a Storage Service whose database is away."""

from __future__ import annotations

import signal
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from prometheus_client.parser import text_string_to_metric_families
from storage_service.health import head_of

from consolidation.installation import script_directory
from services.tests.harness import Caller, Running, campaign, connection, free_port, running, storage_configuration
from tests.cluster import Database


def configuration(storage: Database, **changes: Any) -> dict[str, Any]:
    content = storage_configuration(storage)
    content["database"] |= {"pool_size": 1, "pool_timeout_seconds": 0.2, "statement_timeout_seconds": 0.5} | changes
    return content


def test_heads_are_those_of_the_lineages() -> None:
    folders = [str(path) for path in (script_directory() / "versions").iterdir()]
    scripts = ScriptDirectory(script_directory(), version_locations=folders)
    heads = {next(iter(scripts.get_revision(head).branch_labels)): head for head in scripts.get_heads()}
    del heads["journal"]  # the runbook's own
    assert {name: head_of(name) for name in heads} == heads


def test_ready_with_its_database_at_the_heads(service: Running) -> None:
    current = {
        "ok": True,
        "state": "ready",
        "database": "up",
        "lineages": dict.fromkeys(["campaign_db", "image_db", "storage_service"], "current"),
        "databases": {
            name: {"writes": "open", "capture": "off", "pool": "free", "missing_grants": []}
            for name in ("campaign_db", "image_db")
        },
        "missing_grants": [],
    }
    for path in ("/health/ready", "/health"):
        found = service.http.get(path).json()
        assert 0 < found.pop("age_seconds") < 5
        assert found == current
    assert service.http.get("/health/live").json() == {"status": "alive"}


def test_one_look_serves_all_who_ask_for_a_moment_and_says_how_old_it_is(service: Running) -> None:
    """The runbook counts a service's outage from an answer of which it knows when it was true."""
    begun = time.monotonic()
    answers = [(service.http.get("/health").json()["age_seconds"], time.monotonic()) for _ in range(20)]
    ages = [age for age, _ in answers]
    assert any(later > before for before, later in pairwise(ages)), "the same look, a moment later"
    assert all(0 < age < 0.1 + answered - begun for age, answered in answers)
    time.sleep(0.2)
    assert service.http.get("/health").json()["age_seconds"] < 0.2, "another look"


def test_not_ready_behind_the_head_of_a_migrated_database_only(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage)
    update = "UPDATE consolidation.alembic_version SET version_num = %s WHERE version_num LIKE 'image%%'"
    storage.execute(update, ["image_db_0001"])
    try:
        with running("storage_service", content, directory) as service:
            ready = service.http.get("/health/ready")
            assert (ready.status_code, ready.json()["lineages"]["image_db"]) == (503, "behind")
            assert service.http.get("/health").json()["ok"] is False
        content["storage"]["databases"]["image_db"]["migrations"] = False
        with running("storage_service", content, directory) as service:
            ready = service.http.get("/health/ready")
            assert (ready.status_code, "image_db" in ready.json()["lineages"]) == (200, False)
    finally:
        storage.execute(update, [head_of("image_db")])


def test_metrics_count_by_route_not_by_path(campaigns: Caller, service: Running) -> None:
    row = campaigns.create("campaigns", **campaign())
    campaigns.send("DELETE", f"campaigns/{row['id']}")
    metrics = service.http.get("/metrics").text
    labels = 'method="DELETE",route="/v1/databases/campaign_db/campaigns/{id}",status="200"'
    assert f"storage_requests_total{{{labels}}} 1.0" in metrics
    assert row["id"] not in metrics
    samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    mine = [sample for sample in samples if sample.labels.get("route") == "/v1/databases/campaign_db/campaigns/{id}"]
    answered = sum(sample.value for sample in mine if sample.name == "storage_requests_total")
    buckets = [sample.value for sample in mine if sample.name == "storage_request_seconds_bucket"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == answered


def test_database_away_is_503_and_its_return_needs_no_restart(storage: Database, directory: Path) -> None:
    with running("storage_service", configuration(storage), directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        values = campaign()
        storage.server.stop()
        try:
            refused = caller.send("POST", "campaigns", values, Idempotency_Key="k")
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:database-away"), refused.text
            assert int(refused.headers["Retry-After"]) >= 1
            assert caller.send("POST", "campaigns/query", {}).status_code == 503
            assert service.http.get("/health/ready").status_code == 503
            health = service.http.get("/health").json()
            assert (health["ok"], health["state"], health["database"]) == (False, "database-away", "down")
            assert service.http.get("/health/live").status_code == 200
        finally:
            storage.server.start()
        assert caller.send("POST", "campaigns", values, Idempotency_Key="k").status_code == 201
        # Its connections of before are dead; one request may notice, none may fail otherwise.
        storage.server.stop()
        storage.server.start()
        assert {caller.send("POST", "campaigns/query", {}).status_code for _ in range(3)} <= {200, 503}
        assert caller.send("POST", "campaigns", values, Idempotency_Key="k").status_code == 201
        assert storage.value("SELECT count(*) FROM campaign_db.campaigns WHERE id = %s", [values["id"]]) == 1


def test_password_that_cannot_be_read_is_a_database_that_is_away(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage)
    del content["database"]["passfile"]
    secret = directory / "secret"
    content["database"] |= {"password_file": str(secret)}
    with running("storage_service", content, directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        for path in ("/health/ready", "/health"):
            assert service.http.get(path).json()["state"] == "database-away"
        assert caller.send("POST", "campaigns", campaign()).json()["type"] == "urn:problem:database-away"
        assert f"cannot read the secret in {secret}" in service.log.read_text()
        # It comes without a restart.
        lines = [line.split(":") for line in Path(storage.settings.passfile or "").read_text().splitlines()]
        mine = [str(storage.settings.port), "storage_service"]
        secret.write_text(next(line[4] for line in lines if [line[1], line[3]] == mine))
        assert caller.send("POST", "campaigns", campaign()).status_code == 201


def test_starts_without_its_database(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage)
    content["database"] = connection(storage, "storage_service") | {"port": free_port()}
    with running("storage_service", content, directory) as service:
        assert service.http.get("/health/ready").status_code == 503


def test_locked_rows_and_an_exhausted_pool_are_503(storage: Database, directory: Path) -> None:
    with running("storage_service", configuration(storage), directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        row = caller.create("campaigns", **campaign(name="before"))
        with storage.connection() as blocker:
            blocker.cursor().execute("LOCK TABLE campaign_db.campaigns")
            answers: list[Any] = []
            waiting = threading.Thread(
                target=lambda: answers.append(caller.send("PATCH", f"campaigns/{row['id']}", {"name": "after"}))
            )
            waiting.start()
            time.sleep(0.1)
            second = caller.send("POST", "campaigns/query", {})
            waiting.join()
        assert (answers[0].status_code, answers[0].json()["type"]) == (503, "urn:problem:statement-timeout")
        assert (second.status_code, second.json()["type"]) == (503, "urn:problem:overloaded")
        assert caller.query("campaigns", filters={"id": row["id"]})["rows"] == [row]


def test_request_under_way_is_finished_after_sigterm(storage: Database, directory: Path) -> None:
    with running("storage_service", storage_configuration(storage), directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        values = campaign()
        with storage.connection() as blocker:
            blocker.cursor().execute("LOCK TABLE campaign_db.campaigns")
            answers: list[Any] = []
            waiting = threading.Thread(target=lambda: answers.append(caller.send("POST", "campaigns", values)))
            waiting.start()
            time.sleep(0.3)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        waiting.join()
    assert answers[0].status_code == 201
    assert storage.value("SELECT count(*) FROM campaign_db.campaigns WHERE id = %s", [values["id"]]) == 1


def test_request_that_takes_too_long_is_503_and_says_what_that_means(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage) | {"server": {"request_timeout_seconds": 0.3}}
    with running("storage_service", content, directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        with storage.connection() as blocker:
            blocker.cursor().execute("LOCK TABLE campaign_db.campaigns")
            late = caller.send("POST", "campaigns", campaign(), Idempotency_Key="late")
        assert (late.status_code, late.json()["type"]) == (503, "urn:problem:timeout")
        assert "A write may have happened" in late.json()["detail"]
        assert "Retry-After" in late.headers
        # The connection is given back in a usable state.
        assert caller.send("POST", "campaigns/query", {}).status_code == 200


def test_tables_are_where_the_configuration_says(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage)
    content["storage"]["databases"]["campaign_db"]["schema"] = "Campaign elsewhere"
    storage.execute('ALTER SCHEMA campaign_db RENAME TO "Campaign elsewhere"')
    try:
        with running("storage_service", content, directory) as service:
            caller = Caller(service.http, "campaign_db", storage)
            row = caller.create("campaigns", **campaign())
            assert caller.query("campaigns", filters={"id": row["id"]})["rows"] == [row]
    finally:
        storage.execute('ALTER SCHEMA "Campaign elsewhere" RENAME TO campaign_db')


def test_old_idempotency_keys_are_removed_at_the_start(storage: Database, directory: Path) -> None:
    storage.execute("""
        TRUNCATE storage_service.idempotency_keys;
        INSERT INTO storage_service.idempotency_keys (service, key, request_sha256, result, created_at)
        SELECT 's', hours::text, '', '', now() - make_interval(hours => hours)
        FROM unnest(ARRAY[1, 23, 25, 100]) AS hours;
    """)
    with running("storage_service", storage_configuration(storage), directory):
        deadline = time.monotonic() + 10
        keys = "SELECT array_agg(key ORDER BY created_at DESC) FROM storage_service.idempotency_keys"
        while storage.value(keys) != ["1", "23"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert storage.value(keys) == ["1", "23"]
