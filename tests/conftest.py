"""Fixtures: real servers with the roles of production. Nothing here stands in for PostgreSQL.

`campaign` and `image` (service databases with a few rows), `source` and `image_source` (the same without tables) and
`target` are fresh for every test, on versions (16, 18) unless the test is marked `every_pair`. Tests of one server take
`source` alone. Helpers live in tests/cluster.py.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import data
from demo.servers import Server
from tests.cluster import PAIRS, Cluster, Database, missing_versions

# With its tasks and the recap, which tests read; those of the console set theirs.
os.environ.setdefault("ANSIBLE_STDOUT_CALLBACK", "default")

FEW_ROWS = data.Volume(campaigns=40, chapters=200, images=60, overlays=120)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_pair: run on every pair of source and target versions")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("every_pair"):
        metafunc.parametrize("versions", PAIRS, indirect=True, ids=[f"{source}to{target}" for source, target in PAIRS])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The session's servers; below the system's temporary directory, which PostgreSQL's account may enter."""
    with tempfile.TemporaryDirectory(prefix="consolidation-") as name:
        Path(name).chmod(0o711)
        cluster = Cluster(Path(name))
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
    """The server of the service databases, empty."""
    return cluster.server("source", versions[0])


@pytest.fixture
def target_server(cluster: Cluster, versions: tuple[int, int]) -> Server:
    """The server of the storage database, empty; another one than the source's."""
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
def campaign(source: Database) -> Database:
    """Database `campaign` with the Campaign Service's tables and a few rows, nasty ones among them."""
    data.create_tables(source.server, "campaign")
    data.generate(source.server, "campaign", FEW_ROWS)
    return source


@pytest.fixture
def image(image_source: Database) -> Database:
    """Database `image` with the Image Service's tables and a few rows, nasty ones among them."""
    data.create_tables(image_source.server, "image")
    data.generate(image_source.server, "image", FEW_ROWS)
    return image_source


@pytest.fixture
def target(cluster: Cluster, target_server: Server) -> Database:
    """Database `storage`, no schemas but public."""
    return cluster.target(target_server)
