"""A running Storage Service on a real Storage database, with the role and the grants of production."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.servers import installations
from services.tests.harness import EMPTY, Caller, Running, prepare_storage, running, storage_configuration
from tests.cluster import Cluster, Database


@pytest.fixture(scope="module")
def storage(cluster: Cluster) -> Database:
    """A Storage database at the heads of all lineages, made once for a module."""
    return prepare_storage(cluster.target(cluster.server("storage", max(installations()))))


@pytest.fixture(scope="module")
def service(storage: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The running service."""
    with running("storage_service", storage_configuration(storage), tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def campaigns(service: Running, storage: Database) -> Caller:
    """The Campaign Service; all tables are empty."""
    storage.execute(EMPTY)
    return Caller(service.http, "campaign_db", storage)


@pytest.fixture
def images(service: Running, storage: Database) -> Caller:
    """The Image Service; all tables are empty."""
    storage.execute(EMPTY)
    return Caller(service.http, "image_db", storage)
