"""What the Storage Service costs: its client against direct SQL, on the same server, the same rows, the same load.

    python -m bench.storage_overhead --seconds 10 --concurrency 8

Three ways to the same answer: `direct` (asyncpg), `http` (the Storage Service with plain httpx), `client` (the same
through StorageClient: retries, idempotency keys, typed records). Prints requests per second, p50 and p99; --json FILE
writes them. Client, service and server share this machine's cores, so the service's figures are a lower bound.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
import httpx
import psycopg2
import yaml
from storage_client import CampaignDBClient, StorageClient
from storage_service.auth import token_sha256

from consolidation.lineage.alembic import upgrade
from consolidation.postgres.connection import Settings
from demo.servers import SUPERUSER, Server, installations

Operation = Callable[[], Awaitable[object]]
OPERATIONS = ("get", "list 100", "create", "update")
OWNER = str(uuid4())
CAMPAIGN = str(uuid4())
TOKEN = secrets.token_urlsafe(32)
START_SECONDS = 30


@dataclass(frozen=True)
class Figures:
    """One operation on one way."""

    operation: str
    way: str
    requests_per_second: float
    p50_milliseconds: float
    p99_milliseconds: float


@dataclass(frozen=True)
class Place:
    """Where to ask."""

    server: Server
    url: str
    concurrency: int


@asynccontextmanager
async def direct(place: Place) -> AsyncIterator[dict[str, Operation]]:
    """asyncpg, and nothing between it and the caller."""
    pool = await asyncpg.create_pool(
        host=place.server.host,
        port=place.server.port,
        database="storage",
        user=SUPERUSER,
        passfile=str(place.server.passfile),
        ssl=False,
        min_size=place.concurrency,
        max_size=place.concurrency,
    )
    insert = "INSERT INTO campaign_db.campaigns (id, name, creator_id, owner_id) VALUES ($1, 'n', $2, $2) RETURNING *"
    change = "UPDATE campaign_db.campaigns SET name = $2, updated_at = now() WHERE id = $1 RETURNING *"
    chapters = "SELECT * FROM campaign_db.chapters WHERE campaign_id = $1 AND NOT is_deleted ORDER BY sequence_number"
    yield {
        "get": lambda: pool.fetch("SELECT * FROM campaign_db.campaigns WHERE id = $1 AND NOT is_deleted", CAMPAIGN),
        "list 100": lambda: pool.fetch(chapters, CAMPAIGN),
        "create": lambda: pool.fetch(insert, uuid4(), OWNER),
        "update": lambda: pool.fetch(change, CAMPAIGN, uuid4().hex),
    }
    await pool.close()


@asynccontextmanager
async def http(place: Place) -> AsyncIterator[dict[str, Operation]]:
    """The Storage Service's API; the answers are not parsed."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        base_url=f"{place.url}/databases/campaign_db", headers=headers, trust_env=False
    ) as web:

        async def send(method: str, path: str, body: dict[str, Any], **headers: str) -> None:
            (await web.request(method, path, json=body, headers=headers)).raise_for_status()

        live = {"filters": {"campaign_id": CAMPAIGN, "is_deleted": False}, "order_by": ["sequence_number"]}
        yield {
            "get": lambda: send("POST", "/campaigns/query", {"filters": {"id": CAMPAIGN, "is_deleted": False}}),
            "list 100": lambda: send("POST", "/chapters/query", live),
            "create": lambda: send("POST", "/campaigns", _values(), **{"Idempotency-Key": uuid4().hex}),
            "update": lambda: send(
                "PATCH", f"/campaigns/{CAMPAIGN}", {"name": uuid4().hex}, **{"Idempotency-Key": uuid4().hex}
            ),
        }


@asynccontextmanager
async def client(place: Place) -> AsyncIterator[dict[str, Operation]]:
    """As a service uses it."""
    async with StorageClient(place.url, TOKEN) as storage:
        db: Any = CampaignDBClient(storage)
        yield {
            "get": lambda: db.get_campaign(CAMPAIGN),
            "list 100": lambda: db.get_chapters(CAMPAIGN),
            "create": lambda: db.create_campaign(_values()),
            "update": lambda: db.update_campaign(CAMPAIGN, {"name": uuid4().hex}),
        }


WAYS: dict[str, Callable[[Place], AbstractAsyncContextManager[dict[str, Operation]]]] = {
    "direct": direct,
    "http": http,
    "client": client,
}


def _values() -> dict[str, str]:
    return {"id": str(uuid4()), "name": "n", "creator_id": OWNER, "owner_id": OWNER}


async def measure(operation: Operation, concurrency: int, seconds: float) -> list[float]:
    """Seconds of every call that `concurrency` callers made, one after the other, in `seconds`."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def call() -> None:
        while (begun := time.perf_counter()) < end:
            await operation()
            taken.append(time.perf_counter() - begun)

    await asyncio.gather(*(call() for _ in range(concurrency)))
    return sorted(taken)


async def run(place: Place, seconds: float) -> list[Figures]:
    """Every operation on every way, each after a short run that is not counted."""
    figures = []
    for name in OPERATIONS:
        for way, use in WAYS.items():
            async with use(place) as operations:
                await measure(operations[name], place.concurrency, seconds / 5)
                taken = await measure(operations[name], place.concurrency, seconds)
            p50, p99 = (taken[int(len(taken) * share)] * 1000 for share in (0.5, 0.99))
            figures.append(Figures(name, way, round(len(taken) / seconds, 1), round(p50, 2), round(p99, 2)))
    return figures


@contextmanager
def environment(concurrency: int) -> Iterator[Place]:
    """A server with rows and a Storage Service on it, both gone at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-storage-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        server = Server.create("storage", max(installations()), directory / "server")
        try:
            _fill(server)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            config = directory / "storage.yml"
            config.write_text(yaml.safe_dump(_configuration(server, port, concurrency)))
            process = subprocess.Popen(
                [sys.executable, "-m", "storage_service", "--config", str(config)], stderr=subprocess.DEVNULL
            )
            try:
                _wait(f"http://127.0.0.1:{port}")
                yield Place(server, f"http://127.0.0.1:{port}", concurrency)
            finally:
                process.terminate()
                process.wait()
        finally:
            server.destroy()


def _fill(server: Server) -> None:
    conn = server.connect()
    conn.cursor().execute("CREATE DATABASE storage")
    conn.close()
    settings = Settings(server.host, "storage", SUPERUSER, server.port, str(server.passfile), sslmode="disable")
    for lineage in ("campaign_db", "image_db", "storage_service"):
        upgrade(settings, lineage)
    with psycopg2.connect(**settings.keywords()) as conn, conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO campaign_db.campaigns (id, name, creator_id, owner_id)"
            " SELECT CASE i WHEN 1 THEN %(id)s::uuid ELSE gen_random_uuid() END, 'n', %(owner)s, %(owner)s"
            " FROM generate_series(1, 10000) AS i",
            {"id": CAMPAIGN, "owner": OWNER},
        )
        cursor.execute(
            "INSERT INTO campaign_db.chapters (id, campaign_id, title, sequence_number, content)"
            " SELECT gen_random_uuid(), %s, 't', i, json_build_object('text', repeat('x', 500))"
            " FROM generate_series(1, 100) AS i",
            [CAMPAIGN],
        )
    conn.close()


def _configuration(server: Server, port: int, concurrency: int) -> dict[str, Any]:
    return {
        "server": {"port": port},
        "database": {
            "host": server.host,
            "port": server.port,
            "dbname": "storage",
            "user": SUPERUSER,
            "passfile": str(server.passfile),
            "sslmode": "disable",
            "pool_size": concurrency,
        },
        "storage": {"databases": {"campaign_db": {"schema": "campaign_db"}}},
        "services": {"bench": {"database": "campaign_db", "token_sha256": token_sha256(TOKEN)}},
    }


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{url}/health/ready", trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="per operation and way")
    parser.add_argument("--concurrency", type=int, default=8, help="callers, and connections of either pool")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with environment(arguments.concurrency) as place:
        figures = asyncio.run(run(place, arguments.seconds))
    print(f"{arguments.concurrency} callers, {arguments.seconds:g} s each, {os.cpu_count()} cores")
    print(f"{'operation':<10} {'way':<8} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8}")
    for line in figures:
        print(
            f"{line.operation:<10} {line.way:<8} {line.requests_per_second:>11} {line.p50_milliseconds:>8} "
            f"{line.p99_milliseconds:>8}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(line) for line in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
