"""What the Storage Service costs, seen by a service: its client against the SQL that it replaces.

    python -m bench.storage_overhead

Three ways to the same answer, on one server, the same rows, the same load: `asyncpg` (bare: nothing between it and the
caller), `direct_backend` (SQLAlchemy on asyncpg, as a service had it before the cutover), `client` (StorageClient and
the Storage Service: retries, idempotency keys, typed records). The ways take turns, a second each, and are compared
within a turn; the median of the turns counts. Caller, service and server share this machine's cores, so the figures of
the client are a lower bound. bench/results/storage_overhead.json has the ratios. The last two columns are CPU time, in
microseconds a request, the caller's and the Storage Service's: they mind other work on the machine least.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
import httpx
import psutil  # type: ignore[import-untyped]  # it brings no types
import psycopg2
import uvloop
import yaml
from campaign_service.tables import metadata
from service_common.reference.backend import DirectConfig
from service_common.reference.direct import DirectBackend
from storage_client import CampaignDBClient, StorageClient
from storage_service.auth import token_sha256

from consolidation.lineage.alembic import upgrade
from consolidation.postgres.connection import Settings
from demo.servers import SUPERUSER, Server, installations

Operation = Callable[[], Awaitable[object]]
OPERATIONS = ("get", "list", "create", "update")
RESULT = Path(__file__).parent / "results" / "storage_overhead.json"
OWNER = uuid4()
CAMPAIGNS = [uuid4() for _ in range(1000)]
"""Read and changed at random: callers seldom meet at a row, as in life."""
PARENT = CAMPAIGNS[0]
TOKEN = secrets.token_urlsafe(32)
START_SECONDS = 30
MAX_CALLERS = 64


@dataclass(frozen=True)
class Turn:
    """What the callers of one way did in one turn."""

    requests_per_second: float
    p50_seconds: float
    p99_seconds: float
    caller_cpu_seconds: float
    """Of one request."""
    service_cpu_seconds: float

    @classmethod
    def of(cls, taken: list[float], seconds: float, caller_cpu: float, service_cpu: float) -> Turn:
        taken = sorted(taken)
        count = len(taken)
        percentiles = taken[count // 2], taken[int(count * 0.99)]
        return cls(count / seconds, *percentiles, caller_cpu / count, service_cpu / count)


@dataclass(frozen=True)
class Place:
    """Where to ask."""

    server: Server
    url: str
    service: psutil.Process

    def memory(self) -> str:
        """What the Storage Service occupies."""
        return f"{self.service.memory_info().rss / 1e6:.0f} MB"

    def cpu_seconds(self) -> float:
        """What it has worked so far."""
        return float(sum(self.service.cpu_times()[:2]))


@asynccontextmanager
async def bare(place: Place) -> AsyncIterator[dict[str, Operation]]:
    """asyncpg, and nothing between it and the caller."""
    pool = await asyncpg.create_pool(
        host=place.server.host,
        port=place.server.port,
        database="storage",
        user=SUPERUSER,
        passfile=str(place.server.passfile),
        ssl=False,
        min_size=8,
        max_size=8,
    )
    insert = "INSERT INTO campaigns (id, name, creator_id, owner_id) VALUES ($1, 'n', $2, $2) RETURNING *"
    change = "UPDATE campaigns SET name = $2, updated_at = now() WHERE id = $1 AND NOT is_deleted RETURNING *"
    chapters = "SELECT * FROM chapters WHERE campaign_id = $1 AND NOT is_deleted ORDER BY sequence_number"
    yield {
        "get": lambda: pool.fetchrow("SELECT * FROM campaigns WHERE id = $1 AND NOT is_deleted", _any()),
        "list": lambda: pool.fetch(chapters, PARENT),
        "create": lambda: pool.fetchrow(insert, uuid4(), OWNER),
        "update": lambda: pool.fetchrow(change, _any(), uuid4().hex),
    }
    await pool.close()


@asynccontextmanager
async def direct_backend(place: Place) -> AsyncIterator[dict[str, Operation]]:
    """As a service used its own database before the cutover."""
    config = DirectConfig.model_validate(_connection(place.server) | {"type": "postgresql"})
    order_by = {"campaigns": "created_at", "chapters": "sequence_number"}
    backend = DirectBackend(config, "bench", metadata, order_by)
    campaigns, chapters = backend.records["campaigns"], backend.records["chapters"]
    yield {
        "get": lambda: campaigns.get(_any()),
        "list": lambda: chapters.list({"campaign_id": PARENT}, limit=None),
        "create": lambda: campaigns.create(_values()),
        "update": lambda: campaigns.update(_any(), {"name": uuid4().hex}),
    }
    await backend.aclose()


@asynccontextmanager
async def client(place: Place) -> AsyncIterator[dict[str, Operation]]:
    """As a service uses it after the cutover."""
    async with StorageClient(place.url, TOKEN) as storage:
        db = CampaignDBClient(storage)
        yield {
            "get": lambda: db.get_campaign(_any()),
            "list": lambda: db.get_chapters(PARENT),
            "create": lambda: db.create_campaign(_values()),
            "update": lambda: db.update_campaign(_any(), {"name": uuid4().hex}),
        }


WAYS: dict[str, Callable[[Place], AbstractAsyncContextManager[dict[str, Operation]]]] = {
    "asyncpg": bare,
    "direct_backend": direct_backend,
    "client": client,
}


def _any() -> Any:
    return random.choice(CAMPAIGNS)  # noqa: S311 - no secret


def _values() -> dict[str, Any]:
    return {"id": uuid4(), "name": "n", "creator_id": OWNER, "owner_id": OWNER}


async def measure(place: Place, operation: Operation, callers: int, seconds: float) -> Turn:
    """`callers` callers, each with one call after the other."""
    taken: list[float] = []
    caller_cpu, service_cpu = time.process_time(), place.cpu_seconds()
    begun = time.perf_counter()
    end = begun + seconds

    async def call() -> None:
        while (started := time.perf_counter()) < end:
            await operation()
            taken.append(time.perf_counter() - started)

    await asyncio.gather(*(call() for _ in range(callers)))
    seconds = time.perf_counter() - begun
    return Turn.of(taken, seconds, time.process_time() - caller_cpu, place.cpu_seconds() - service_cpu)


async def run(place: Place, seconds: float, turns: int, callers: tuple[int, ...]) -> list[dict[str, Any]]:
    """The ratios of every operation, printed as they come."""
    ratios = []
    async with AsyncExitStack() as stack:
        ways = {name: await stack.enter_async_context(use(place)) for name, use in WAYS.items()}
        for operation in OPERATIONS:
            print(f"Storage Service: {place.memory()}")
            for count in callers:
                for way in ways.values():
                    await measure(place, way[operation], count, seconds / 4)
                rounds = [
                    {name: await measure(place, way[operation], count, seconds) for name, way in ways.items()}
                    for _ in range(turns)
                ]
                for name in ways:
                    _print(operation, count, name, [one[name] for one in rounds])
                ratios += [_ratio(operation, count, other, rounds) for other in ways if other != "client"]
        crowd = await measure(place, ways["client"]["get"], MAX_CALLERS, seconds * 3)
        _print("get", MAX_CALLERS, "client", [crowd])
        print(f"Storage Service: {place.memory()}")
    return ratios


def _ratio(operation: str, callers: int, other: str, rounds: list[dict[str, Turn]]) -> dict[str, Any]:
    p50 = statistics.median(one["client"].p50_seconds / one[other].p50_seconds for one in rounds)
    requests = statistics.median(one["client"].requests_per_second / one[other].requests_per_second for one in rounds)
    line = {"operation": operation, "callers": callers, "vs": other}
    return line | {"p50_ratio": round(p50, 2), "requests_ratio": round(requests, 2)}


def _print(operation: str, callers: int, way: str, turns: list[Turn]) -> None:
    requests, p50, p99, caller, service = (
        statistics.median(figures) for figures in zip(*map(astuple, turns), strict=True)
    )
    waits = f"{p50 * 1000:>8.2f} {p99 * 1000:>8.2f}"
    print(
        f"{operation:<8} {callers:>3} {way:<15} {requests:>8.0f} {waits} {caller * 1e6:>8.0f} {service * 1e6:>8.0f}",
        flush=True,
    )


@contextmanager
def environment() -> Iterator[Place]:
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
            config.write_text(yaml.safe_dump(_configuration(server, port)))
            with (directory / "storage.log").open("wb") as log:
                command = [sys.executable, "-m", "storage_service", "--config", str(config)]
                process = subprocess.Popen(command, stderr=log)
                try:
                    _wait(f"http://127.0.0.1:{port}")
                    yield Place(server, f"http://127.0.0.1:{port}", psutil.Process(process.pid))
                finally:
                    process.terminate()
                    process.wait()
        finally:
            server.destroy()


def _fill(server: Server) -> None:
    conn = server.connect()
    conn.cursor().execute("CREATE DATABASE storage")
    # The direct ways name no schema.
    conn.cursor().execute("ALTER DATABASE storage SET search_path = campaign_db")
    conn.close()
    settings = Settings(server.host, "storage", SUPERUSER, server.port, str(server.passfile), sslmode="disable")
    for lineage in ("campaign_db", "image_db", "storage_service"):
        upgrade(settings, lineage)
    with psycopg2.connect(**settings.keywords()) as conn, conn.cursor() as cursor:
        cursor.execute(
            "INSERT INTO campaigns (id, name, creator_id, owner_id)"
            " SELECT id, 'n', %(owner)s, %(owner)s FROM unnest(%(ids)s::uuid[]) AS id",
            {"ids": [str(id) for id in CAMPAIGNS], "owner": str(OWNER)},
        )
        cursor.execute(
            "INSERT INTO campaigns (id, name, creator_id, owner_id)"
            " SELECT gen_random_uuid(), 'n', %(owner)s, %(owner)s FROM generate_series(1, 9000)",
            {"owner": str(OWNER)},
        )
        cursor.execute(
            "INSERT INTO chapters (id, campaign_id, title, sequence_number, content)"
            " SELECT gen_random_uuid(), %s, 't', i, json_build_object('text', repeat('x', 500))"
            " FROM generate_series(1, 100) AS i",
            [str(PARENT)],
        )
    conn.close()
    with psycopg2.connect(**settings.keywords()) as conn, conn.cursor() as cursor:
        cursor.execute("ANALYZE")
    conn.close()


def _connection(server: Server) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "dbname": "storage",
        "user": SUPERUSER,
        "passfile": str(server.passfile),
        "sslmode": "disable",
        "pool_size": 8,
    }


def _configuration(server: Server, port: int) -> dict[str, Any]:
    return {
        "server": {"port": port},
        "database": _connection(server),
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
    parser.add_argument("--seconds", type=float, default=1, help="of a way's turn")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--json", type=Path, default=RESULT, help="where the ratios go")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {arguments.turns} turns of {arguments.seconds:g} s")
    print(f"{'':<8} {'':>3} {'':<15} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'caller':>8} {'service':>8}")
    with environment() as place, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ratios = runner.run(run(place, arguments.seconds, arguments.turns, tuple(arguments.callers)))
    lines = ",\n".join(f"  {json.dumps(line)}" for line in ratios)
    arguments.json.write_text(f"[\n{lines}\n]\n")
    for line in ratios:
        print(
            f"{line['operation']:<8} {line['callers']:>3} vs {line['vs']:<15} p50 {line['p50_ratio']:>5}"
            f"  requests {line['requests_ratio']:>5}"
        )


if __name__ == "__main__":
    main()
