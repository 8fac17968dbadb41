"""The coordinator's end of the copy workers (``worker``): the coordinator's own, or an additional host's."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from os import getpid

from consolidation.model import Database
from consolidation.processes import children, kill


@dataclass(frozen=True)
class Queue:
    """A copy that wants workers: its chunks stand in the journal."""

    run_id: str
    snapshot: str
    """Exported by the coordinator on the source: all workers see the same rows."""
    attempt: int
    """Which one of the copy phase."""
    lead: int
    """The coordinator's backend that holds the database's lock: without it no one may load."""


def host() -> str:
    """This host, as the journal names it."""
    return socket.gethostname()


class Workers:
    """Worker processes that wait for their task. See ``started``."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def run(self, database: Database, queue: Queue) -> list[str]:
        """Have them work to the end; the errors of those that failed. The others go on with the queue."""
        task = json.dumps({"database": database.as_json(), "queue": asdict(queue), "host": host(), "parent": getpid()})
        pool = ThreadPoolExecutor(len(self._processes))
        try:
            outputs = list(pool.map(lambda process: process.communicate(task)[0], self._processes))
        finally:
            kill(self._processes)
            pool.shutdown()
        ended = zip(self._processes, outputs, strict=True)
        return [_error(process, output) for process, output in ended if process.returncode]


@contextmanager
def started(count: int) -> Iterator[Workers]:
    """``count`` processes, which start while the caller finds out what they are to do; they end with the block."""
    with children("consolidation.copy.worker", count) as processes:
        yield Workers(processes)


def _error(process: subprocess.Popen[str], output: str) -> str:
    last = json.loads(output.splitlines()[-1]) if output.strip() else {}
    return str(last.get("error", f"a worker ended with status {process.returncode}"))
