"""Running services for the tests: real processes, real HTTP, a real storage database."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml
from storage_service.auth import token_sha256

from consolidation.lineage.alembic import upgrade
from demo.data import create_tables
from demo.servers import installations
from tests.cluster import Cluster, Database

TOKENS = {"campaign_db": "token-of-the-campaign-service", "image_db": "token-of-the-image-service"}
GRANTS = """
    GRANT USAGE ON SCHEMA campaign_db, image_db, storage_service, consolidation TO storage_service;
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA campaign_db, image_db TO storage_service;
    GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA storage_service TO storage_service;
    GRANT SELECT ON consolidation.alembic_version TO storage_service;
"""
START_SECONDS = 30
WRITES = {"fence_wait_seconds": 1}
EMPTY = """TRUNCATE campaign_db.campaigns, campaign_db.chapters, image_db.images, image_db.overlays,
                    storage_service.idempotency_keys"""


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    url: str
    process: subprocess.Popen[bytes]
    http: httpx.Client
    log: Path
    config: Path


@contextmanager
def running(module: str, configuration: dict[str, Any], directory: Path, ca: Path | None = None) -> Iterator[Running]:
    """`python -m MODULE --config FILE` on a free port, until it answers; ended with SIGTERM, in good order.

    ca: of its certificate, where it serves TLS.
    """
    port = free_port()
    configuration = configuration | {"server": configuration.get("server", {}) | {"port": port}}
    config, log = directory / f"{module}-{port}.yml", directory / f"{module}-{port}.log"
    config.write_text(yaml.safe_dump(configuration))
    url = f"{'https' if ca else 'http'}://127.0.0.1:{port}"
    verify = ssl.create_default_context(cafile=ca) if ca else False
    with log.open("wb") as output, httpx.Client(base_url=url, timeout=30, trust_env=False, verify=verify) as http:
        command = [sys.executable, "-m", module, "--config", str(config)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(http, process, log)
            yield Running(url, process, http, log, config)
        finally:
            process.terminate()
            code = process.wait(timeout=START_SECONDS)
        assert code == -signal.SIGTERM, log.read_text()[-3000:]


def _wait(http: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            http.get("/openapi.json")
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"no answer in {START_SECONDS} s: {log.read_text()[-3000:]}")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def prepare_storage(database: Database) -> Database:
    """Bring an empty storage database to the heads of all lineages, with the grants of production."""
    for lineage in ("campaign_db", "image_db", "storage_service"):
        upgrade(database.settings, lineage)
    database.execute(GRANTS)
    return database


def connection(database: Database, user: str) -> dict[str, Any]:
    """The `database` section of a service's configuration."""
    settings = database.settings
    return {
        "host": settings.host,
        "port": settings.port,
        "dbname": settings.dbname,
        "user": user,
        "passfile": settings.passfile,
        "sslmode": "disable",
    }


def storage_configuration(database: Database, **changes: Any) -> dict[str, Any]:
    """The Storage Service's configuration file."""
    return {
        "database": connection(database, "storage_service") | {"pool_size": 4},
        "storage": {"databases": {name: {"schema": name} for name in TOKENS}},
        "services": {
            name.replace("_db", "_service"): {"database": name, "token_sha256": token_sha256(token)}
            for name, token in TOKENS.items()
        },
    } | changes


@dataclass(frozen=True)
class Caller:
    """Requests of one service to its own database at the Storage Service."""

    http: httpx.Client
    database: str
    storage: Database

    def send(self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> httpx.Response:
        """body: text goes as it is, anything else as JSON. Header names with _ for -."""
        content = {"content": body} if isinstance(body, str | bytes) else {"json": body} if body is not None else {}
        fields = {"Authorization": f"Bearer {token or TOKENS[self.database]}", "Content-Type": "application/json"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, f"/v1/databases/{self.database}/{path}", headers=fields, **content)

    def create(self, table: str, /, **values: Any) -> dict[str, Any]:
        """Create a row that must be accepted."""
        response = self.send("POST", table, {"id": str(uuid4())} | values)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    def query(self, table: str, **query: Any) -> dict[str, Any]:
        """Read a page that must be answered."""
        response = self.send("POST", f"{table}/query", query)
        assert response.status_code == 200, response.text
        page: dict[str, Any] = response.json()
        return page


def campaign(**more: Any) -> dict[str, Any]:
    """The values of a new campaign."""
    return {"id": str(uuid4()), "name": "a campaign", "creator_id": str(uuid4()), "owner_id": str(uuid4())} | more


def image(**more: Any) -> dict[str, Any]:
    """The values of a new image."""
    return {"id": str(uuid4()), "type": "map", "subtype": "cave", "content": {}, "metadata": {}} | more


@contextmanager
def fenced(database: Database, table: str) -> Iterator[None]:
    """schema.table is closed for writes as the runbook closes it: SQLSTATE 25006 from a statement trigger."""
    function = f"{table.split('.', maxsplit=1)[0]}.refuse_in_test()"
    database.execute(f"""
        CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'closed' USING ERRCODE = '25006'; END$$;
        CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {function};
    """)
    try:
        yield
    finally:
        database.execute(f"DROP FUNCTION {function} CASCADE")


@dataclass(frozen=True)
class Reference:
    """A reference service on one of its backends, and the database and schema where its records are."""

    http: httpx.Client
    backend: str
    database: Database
    schema: str
    log: Path
    """Of the service that asks the database."""


@contextmanager
def reference(service: str, backend: str, cluster: Cluster, directory: Path) -> Iterator[Reference]:
    """The Campaign (`campaign`) or Image (`image`) Service on `postgresql` or `storage_service`."""
    schema, module = f"{service}_db", f"{service}_service"
    if backend == "postgresql":
        source = cluster.source(cluster.server("source", min(installations())), service)
        create_tables(source.server, service)
        section = {"type": "postgresql", **connection(source, f"{service}_app")}
        configuration = {"database": section, "others": {"key": "value"}, "writes": WRITES}
        with running(module, configuration, directory) as direct:
            yield Reference(direct.http, backend, source, "public", direct.log)
        return
    storage = prepare_storage(cluster.target(cluster.server("storage", max(installations()))))
    token_file = directory / "token"
    token_file.write_text(TOKENS[schema] + "\n")
    with running("storage_service", storage_configuration(storage), directory) as at:
        configuration = {
            "database": {"type": "storage_service", "schema": schema, "client": "storage_client"},
            "storage": {"url": at.url, "token_file": str(token_file), "retry_seconds": 0.2},
            "writes": WRITES,
        }
        with running(module, configuration, directory) as remote:
            yield Reference(remote.http, backend, storage, schema, at.log)
