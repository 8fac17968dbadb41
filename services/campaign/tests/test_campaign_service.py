"""The Campaign Service through its API, alike on both backends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.tests.harness import Reference, campaign, fenced, reference
from tests.cluster import Cluster


@pytest.fixture(scope="module", params=["postgresql", "storage_service"])
def service(request: pytest.FixtureRequest, cluster: Cluster, directory: Path) -> Iterator[Reference]:
    with reference("campaign", request.param, cluster, directory) as running:
        yield running


def test_campaign_lives_from_creation_to_deletion(service: Reference) -> None:
    values = campaign(name="O'Brien", theme_data={"a": [1, 2.5, "é"], "b": None})
    created = service.http.post("/campaigns", json=values)
    assert created.status_code == 201, created.text
    path = f"/campaigns/{values['id']}"
    assert service.http.get(path).json() == created.json()
    assert created.json() | values == created.json()
    changed = service.http.patch(path, json={"state": "done"}).json()
    assert changed["state"] == "done"
    assert [row["state"] for row in service.http.get("/campaigns").json() if row["id"] == values["id"]] == ["done"]
    assert service.http.delete(path).json()["is_deleted"] is True
    for gone in (service.http.get(path), service.http.delete(path), service.http.patch(path, json={"state": "x"})):
        assert (gone.status_code, gone.headers["Content-Type"]) == (404, "application/problem+json")
    query = f"SELECT name, state, is_deleted, theme_data->>'b' FROM {service.schema}.campaigns WHERE id = %s"
    assert service.database.rows(query, [values["id"]]) == [("O'Brien", "done", True, None)]


def test_chapters_come_by_sequence_number(service: Reference) -> None:
    parent = service.http.post("/campaigns", json=campaign()).json()["id"]
    for number in (3, 1, 2):
        chapter = {"campaign_id": parent, "title": f"t{number}", "sequence_number": number}
        assert service.http.post("/chapters", json=chapter).status_code == 201
    titles = [row["title"] for row in service.http.get(f"/campaigns/{parent}/chapters").json()]
    assert titles == ["t1", "t2", "t3"]


def test_json_beyond_a_float_is_still_answered(service: Reference) -> None:
    row = service.http.post("/campaigns", json=campaign()).json()["id"]
    query = f"UPDATE {service.schema}.campaigns SET theme_data = %s, created_at = 'infinity' WHERE id = %s"
    service.database.execute(query, ['{"a": 1e400, "b": 1.50}', row])
    found = service.http.get(f"/campaigns/{row}").json()
    assert found["theme_data"]["b"] == 1.5
    assert float(found["theme_data"]["a"]) == float("inf")


def test_what_is_refused(service: Reference) -> None:
    row = service.http.post("/campaigns", json=campaign()).json()
    expected = {
        "a key twice": (409, service.http.post("/campaigns", json=campaign(id=row["id"]))),
        "an unknown column": (422, service.http.post("/campaigns", json=campaign(nonsense=1))),
        "a NUL in text": (422, service.http.patch(f"/campaigns/{row['id']}", json={"name": "\0"})),
        "an orphan": (
            409,
            service.http.post("/chapters", json={"campaign_id": str(uuid4()), "title": "t", "sequence_number": 1}),
        ),
        "another path": (404, service.http.get("/nothing")),
        "an oversized body": (413, service.http.post("/campaigns", json=campaign(name="x" * 2_000_000))),
    }
    for what, (status, response) in expected.items():
        assert response.status_code == status, f"{what}: {response.text}"
        assert response.headers["Content-Type"] == "application/problem+json", what


def test_fenced_table_answers_503_and_loses_nothing(service: Reference) -> None:
    values = campaign()
    with fenced(service.database, f"{service.schema}.campaigns"):
        refused = service.http.post("/campaigns", json=values)
        assert refused.status_code == 503, refused.text
        assert refused.json()["type"] == "urn:problem:fenced"
        assert int(refused.headers["Retry-After"]) >= 1
        assert service.http.get("/campaigns").status_code == 200
    assert service.http.post("/campaigns", json=values).status_code == 201


def test_health_has_the_shape_of_the_plan_and_names_the_backend(service: Reference) -> None:
    health = service.http.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "healthy"
    assert (health.json()["storage"]["ok"], health.json()["storage"]["backend"]) == (True, service.backend)


def test_the_page_for_people_names_the_operations(service: Reference) -> None:
    shown = service.http.get("/docs")
    assert shown.status_code == 200
    assert "<code>PATCH /campaigns/{id}</code>" in shown.text


def test_sessions_are_named_after_the_service(service: Reference) -> None:
    service.http.get("/campaigns")
    name = {"postgresql": "campaign_service", "storage_service": "storage_service"}[service.backend]
    query = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    assert service.database.rows(query, [service.database.name]) == [(name,)]


def test_request_id_goes_all_the_way(service: Reference) -> None:
    service.http.get("/campaigns", headers={"X-Request-Id": "seen.from-outside"})
    deadline = time.monotonic() + 5
    while '"seen.from-outside"' not in service.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
