"""The Image Service through its API, alike on both backends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.tests.harness import Reference, image, reference
from tests.cluster import Cluster


@pytest.fixture(scope="module", params=["postgresql", "storage_service"])
def service(request: pytest.FixtureRequest, cluster: Cluster, directory: Path) -> Iterator[Reference]:
    with reference("image", request.param, cluster, directory) as running:
        yield running


def test_image_lives_from_creation_to_deletion(service: Reference) -> None:
    values = image(metadata={"a": 1.5}, references=["x"], overlays=None)
    created = service.http.post("/images", json=values)
    assert created.status_code == 201, created.text
    path = f"/images/{values['id']}"
    assert service.http.get(path).json() == created.json()
    assert created.json() | values == created.json()
    assert service.http.patch(path, json={"references": ["y"]}).json()["references"] == ["y"]
    assert service.http.delete(path).status_code == 200
    assert service.http.get(path).status_code == 404
    query = f'SELECT "references"->>0, overlays IS NULL, is_deleted FROM {service.schema}.images WHERE id = %s'
    assert service.database.rows(query, [values["id"]]) == [("y", True, True)]


def test_overlays_of_an_image(service: Reference) -> None:
    parent = service.http.post("/images", json=image()).json()["id"]
    created = [
        service.http.post("/overlays", json={"image_id": parent, "type": f"t{number}", "elements": [number]}).json()
        for number in range(3)
    ]
    service.http.delete(f"/overlays/{created[1]['id']}")
    assert service.http.get(f"/images/{parent}/overlays").json() == [created[0], created[2]]


def test_health_names_the_backend(service: Reference) -> None:
    health = service.http.get("/health").json()
    assert (health["status"], health["storage"]["backend"]) == ("healthy", service.backend)
