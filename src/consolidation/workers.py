"""The coordinator's end of the copy workers (``worker``)."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from os import getpid
from typing import Any


def run_workers(options: dict[str, Any], run_id: str, snapshot: str, count: int) -> list[str]:
    """Run the workers to their end; the errors of those that failed. The others go on with the queue."""
    task = json.dumps({"database": options, "run_id": run_id, "snapshot": snapshot, "parent": getpid()})
    running = []
    for _ in range(count):
        process = subprocess.Popen(
            [sys.executable, "-m", "consolidation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        running.append(process)
    pool = ThreadPoolExecutor(count)
    try:
        outputs = list(pool.map(lambda process: process.communicate(task)[0], running))
    finally:
        for process in running:
            process.kill()
        pool.shutdown()
    return [_error(process, output) for process, output in zip(running, outputs, strict=True) if process.returncode]


def _error(process: subprocess.Popen[str], output: str) -> str:
    last = json.loads(output.splitlines()[-1]) if output.strip() else {}
    return str(last.get("error", f"a worker ended with status {process.returncode}"))
