"""Reads ranges of tables and sums their rows: a process of its own, because Python hashes on one core for each.

``python -m consolidation.compare.reread`` reads one JSON object a line from standard input: first where to connect,
then a COPY statement each, with the snapshot that it is to see; it prints one JSON line for each statement. It dies
with the process that started it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from queue import SimpleQueue

import psycopg2

from consolidation.compare.row_hash import RowSum, row_sum
from consolidation.errors import ConsolidationError, StatementFailed, describe, next_step
from consolidation.postgres.connection import Settings, connect
from consolidation.postgres.queries import execute
from consolidation.processes import children, die_with_parent, kill


class RereadFailed(ConsolidationError):
    """A range could not be read again; what it holds is not known."""


@dataclass(frozen=True)
class Range:
    """One COPY ... TO STDOUT."""

    statement: str
    is_binary: bool
    snapshot: str
    """Exported by a session that keeps it until the range is read."""
    lets_go: bool = False
    """Whether the reader keeps no lock on the table behind it."""


ENDED = "look for it in the runner's log (out of memory?), then run the same command again"


class Readers:
    """Processes that read ranges side by side. See ``readers``."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        for process in processes:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(len(processes))

    def connect(self, settings: Settings) -> None:
        """Tell them, once, where they are to read."""
        task = json.dumps({"settings": asdict(settings), "parent": os.getpid()})
        for process in self._processes:
            _send(process, task)

    def sums(self, ranges: Sequence[Range]) -> Iterator[tuple[RowSum, float]]:
        """Begin to read; the sum of every range and the seconds it took, in order. Raises RereadFailed."""
        return self._threads.map(self._read, ranges)

    def _read(self, wanted: Range) -> tuple[RowSum, float]:
        process = self._free.get()
        started = time.monotonic()
        try:
            return _ask(process, wanted), time.monotonic() - started
        finally:
            self._free.put(process)

    def end(self) -> None:
        """End them now: what is being read fails."""
        kill(self._processes)

    def close(self) -> None:
        """Drop what has not begun."""
        self._threads.shutdown(cancel_futures=True)


@contextmanager
def readers(count: int) -> Iterator[Readers]:
    """``count`` processes, which start while the caller finds out what they are to read; they end with the block."""
    with children("consolidation.compare.reread", count) as processes:
        found = Readers(processes)
        try:
            yield found
        finally:
            found.end()
            found.close()


def _ask(process: subprocess.Popen[str], wanted: Range) -> RowSum:
    assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
    _send(process, json.dumps(asdict(wanted)))
    line = process.stdout.readline()
    answer = json.loads(line) if line else {"error": "a reading process ended", "hint": ENDED}
    if "error" in answer:
        raise RereadFailed(answer["error"], hint=answer["hint"])
    return RowSum(**answer)


def _send(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended; the answer that does not come says so


def main() -> int:
    """Answer until standard input ends."""
    task = json.loads(sys.stdin.readline())
    die_with_parent(task["parent"])
    try:
        conn = connect(Settings(**task["settings"]), "reader")
        conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
        joined = ""
        for line in sys.stdin:
            wanted = Range(**json.loads(line))
            if wanted.snapshot != joined:
                conn.rollback()
                execute(conn, "SET TRANSACTION SNAPSHOT %s", [wanted.snapshot])
            found, joined = row_sum(conn, wanted.statement, is_binary=wanted.is_binary), wanted.snapshot
            if wanted.lets_go:
                conn.rollback()
                joined = ""
            print(json.dumps(asdict(found)), flush=True)  # noqa: T201 - it is read
    except ConsolidationError as error:
        return _failed(error)
    except psycopg2.Error as error:
        return _failed(StatementFailed(describe(error), hint=next_step(error)))
    return 0


def _failed(error: ConsolidationError) -> int:
    print(json.dumps({"error": error.message, "hint": error.hint}), flush=True)  # noqa: T201 - as above
    return 1


if __name__ == "__main__":
    sys.exit(main())
