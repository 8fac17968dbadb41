"""Whether the Storage Service's memory stays as it is, however many requests it answers.

    python -m bench.storage_memory

A million requests of every kind by 16 callers: reads, pages, writes with idempotency keys, and what is refused.
bench/results/storage_memory.json has the resident memory of service and client after every 100,000. The machine may do
other work: memory does not mind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil  # type: ignore[import-untyped]  # it brings no types
import uvloop
from storage_client import CampaignDBClient, InvalidRequest, StorageClient, StorageError, Unauthorized

from bench.storage_overhead import CAMPAIGNS, OWNER, PARENT, TOKEN, Place, environment

RESULT = Path(__file__).parent / "results" / "storage_memory.json"
CALLERS = 16
STEPS = 10
SHARES = {"get": 60, "missing": 5, "update": 15, "create": 10, "page": 4, "list": 2, "refused": 3, "stranger": 1}
"""Of a hundred requests."""


def _operations(storage: StorageClient, stranger: StorageClient) -> dict[str, Callable[[], Awaitable[Any]]]:
    db = CampaignDBClient(storage)

    async def refused(request: Awaitable[Any], expected: type[StorageError]) -> None:
        try:
            await request
        except expected:
            return
        raise AssertionError(f"the Storage Service took what it must refuse: {expected.__name__}")

    return {
        "get": lambda: db.get_campaign(_any()),
        "missing": lambda: db.get_campaign(uuid4()),
        "update": lambda: db.update_campaign(_any(), {"name": uuid4().hex}),
        "create": lambda: db.create_campaign({"name": uuid4().hex, "creator_id": OWNER, "owner_id": OWNER}),
        "page": lambda: storage.read(
            "campaign_db", "campaigns", {"owner_id": OWNER}, order_by=["created_at"], limit=10
        ),
        "list": lambda: db.get_chapters(PARENT),
        "refused": lambda: refused(db.update_campaign(_any(), {"name": 1, uuid4().hex: 2}), InvalidRequest),
        "stranger": lambda: refused(stranger.get("campaign_db", "campaigns", _any()), Unauthorized),
    }


def _any() -> Any:
    return random.choice(CAMPAIGNS)  # noqa: S311 - no secret


async def _send(operations: dict[str, Callable[[], Awaitable[Any]]], requests: int) -> None:
    kinds = iter(random.choices(list(SHARES), list(SHARES.values()), k=requests))  # noqa: S311 - no secret

    async def call() -> None:
        for kind in kinds:
            await operations[kind]()

    await asyncio.gather(*(call() for _ in range(CALLERS)))


async def run(place: Place, requests: int) -> list[dict[str, Any]]:
    """The memory after each tenth of the requests, printed as it comes."""
    measured = []
    client = psutil.Process()
    async with StorageClient(place.url, TOKEN) as storage, StorageClient(place.url, "wrong") as stranger:
        operations = _operations(storage, stranger)
        for step in range(STEPS + 1):
            begun = time.perf_counter()
            if step:
                await _send(operations, requests // STEPS)
            memory = {name: round(each.memory_info().rss / 1e6, 1) for name, each in _processes(place, client)}
            measured.append({"requests": step * requests // STEPS, **memory, "open_files": place.service.num_fds()})
            print(measured[-1], f"{time.perf_counter() - begun:.0f} s", flush=True)
    return measured


def _processes(place: Place, client: psutil.Process) -> list[tuple[str, psutil.Process]]:
    return [("service_megabytes", place.service), ("client_megabytes", client)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, default=RESULT, help="where the figures go")
    arguments = parser.parse_args()
    with environment() as place, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(run(place, arguments.requests))
    lines = ",\n".join(f"  {json.dumps(line)}" for line in measured)
    arguments.json.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
