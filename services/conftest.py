"""Running services on real databases, for the tests beside each service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.servers import installations
from services.tests.harness import (
    EMPTY,
    Caller,
    Running,
    prepare_storage,
    running,
    storage_configuration,
)
from tests.cluster import Cluster, Database
from tests.conftest import cluster

__all__ = ["cluster"]


@pytest.fixture(scope="module")
def storage(cluster: Cluster) -> Database:
    """A storage database at the heads of all lineages, made once for a module."""
    return prepare_storage(cluster.target(cluster.server("storage", max(installations()))))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where configuration, secrets and logs of a module's services lie."""
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def service(storage: Database, directory: Path) -> Iterator[Running]:
    """The running Storage Service."""
    with running("storage_service", storage_configuration(storage), directory) as service:
        yield service


@pytest.fixture
def campaigns(service: Running, storage: Database) -> Caller:
    """The Campaign Service at the Storage Service; all tables are empty."""
    storage.execute(EMPTY)
    return Caller(service.http, "campaign_db", storage)


@pytest.fixture
def images(service: Running, storage: Database) -> Caller:
    """The Image Service at the Storage Service; all tables are empty."""
    storage.execute(EMPTY)
    return Caller(service.http, "image_db", storage)
