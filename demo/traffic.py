"""Clients of the Campaign and the Image Service that write without pause; the ledger keeps the answers."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import httpx

from demo.client import Client, now
from demo.ledger import MARK, Operation

CLIENTS = 2
"""Per service."""
PAUSE_SECONDS = 0.1
"""Between two writes of one client, so outages are measured to about this."""
ANSWER_SECONDS = 30
"""Longer than the services let a request wait."""


class Traffic:
    """Clients running in a thread of their own, from `with` to its end.

    services: name -> URL, of `campaign` and `image`. Every write is in `operations` and in the new ledger at `path`.
    """

    def __init__(self, services: Mapping[str, str], path: Path) -> None:
        self._services = services
        self._path = path
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")
        self._failure: Exception | None = None
        self.operations: list[Operation] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._enough.set()
        self._thread.join()
        if self._failure and error is None:
            raise self._failure

    def wait_for_writes(self, seconds: float) -> set[str]:
        """Wait until every service has taken a write that was sent after now; those that have not in `seconds`."""
        start = now()
        missing = set(self._services)
        while missing and now() < start + seconds and self._thread.is_alive():
            time.sleep(PAUSE_SECONDS)
            recent = self.operations[-1000:]
            missing -= {each.service for each in recent if each.sent > start and each.outcome == "acknowledged"}
        if self._failure:
            raise self._failure
        return missing

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - raised again where the traffic was started
            self._failure = error

    async def _serve(self) -> None:
        with self._path.open("x", buffering=1) as ledger:
            async with asyncio.TaskGroup() as clients:
                for service in self._services:
                    for _ in range(CLIENTS):
                        clients.create_task(self._client(service, ledger))

    async def _client(self, service: str, ledger: TextIO) -> None:
        name = f"{MARK}{secrets.token_hex(4)}"
        url = self._services[service]
        async with httpx.AsyncClient(base_url=url, timeout=ANSWER_SECONDS, trust_env=False) as http:
            client = Client(service, http)
            for number in count(1):
                operation = await client.write(f"{name}-{number}")
                ledger.write(operation.line())
                self.operations.append(operation)
                if self._enough.is_set():
                    return
                await asyncio.sleep(PAUSE_SECONDS)
