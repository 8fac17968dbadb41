"""Fixtures: real servers with the roles of production. Nothing here stands in for PostgreSQL.

`campaign` and `image` (service databases with a few rows), `source` and `image_source` (the same without tables) and
`target` are fresh for every test, on versions (16, 18) unless the test is marked `every_pair`. Tests of one server take
`source` alone. Helpers live in tests/cluster.py.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator

import pytest

from demo.servers import Server
from tests.cluster import PAIRS, Cluster, Database, directory_of_servers, missing_versions

# With its tasks and the recap, which tests read; those of the console set theirs.
os.environ.setdefault("ANSIBLE_STDOUT_CALLBACK", "default")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_pair: run on every pair of source and target versions")


def pytest_collection_finish() -> None:
    """Modules and collected tests stay: looking at them again and again took a sixth of a worker's own time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("every_pair"):
        metafunc.parametrize("versions", PAIRS, indirect=True, ids=[f"{source}to{target}" for source, target in PAIRS])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The session's servers."""
    with directory_of_servers() as directory:
        cluster = Cluster(directory)
        try:
            yield cluster
        finally:
            cluster.destroy()


@pytest.fixture
def versions(request: pytest.FixtureRequest) -> tuple[int, int]:
    """(major of the source, major of the target)"""
    pair: tuple[int, int] = getattr(request, "param", PAIRS[0])
    if missing := missing_versions(pair):
        pytest.skip(f"no PostgreSQL {missing} on this machine")
    return pair


@pytest.fixture
def source_server(cluster: Cluster, versions: tuple[int, int]) -> Server:
    """The server of the service databases, without any."""
    return cluster.server("source", versions[0])


@pytest.fixture
def target_server(cluster: Cluster, versions: tuple[int, int]) -> Server:
    """The server of the storage database, without it; another one than the source's."""
    return cluster.server("target", versions[1])


@pytest.fixture
def make_source(cluster: Cluster, source_server: Server) -> Callable[[str], Database]:
    """make_source(service): a fresh service database with <service>_owner, <service>_app and the runbook's roles."""
    return lambda service: cluster.source(source_server, service)


@pytest.fixture
def source(make_source: Callable[[str], Database]) -> Database:
    """Database `campaign`, no tables: create them with `source.execute(ddl, role="campaign_owner")`."""
    return make_source("campaign")


@pytest.fixture
def image_source(make_source: Callable[[str], Database]) -> Database:
    """Database `image`, no tables."""
    return make_source("image")


@pytest.fixture
def campaign(cluster: Cluster, source_server: Server) -> Database:
    """Database `campaign` with the Campaign Service's tables and a few rows, nasty ones among them."""
    return cluster.filled_source(source_server, "campaign")


@pytest.fixture
def image(cluster: Cluster, source_server: Server) -> Database:
    """Database `image` with the Image Service's tables and a few rows, nasty ones among them."""
    return cluster.filled_source(source_server, "image")


@pytest.fixture
def target(cluster: Cluster, target_server: Server) -> Database:
    """Database `storage`, no schemas but public."""
    return cluster.target(target_server)
