"""Tells hooks without waiting for them: behind the fence nothing may hold up the run.

Each notice is a process of its own (Ansible forks, which threads do not survive well); what failed is asked at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from consolidation.notices.hooks import LIMIT_SECONDS

GRACE_SECONDS = 5.0
"""Beside the hooks' own limits."""


class Outbox:
    """The notices of one command."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, float, subprocess.Popen[bytes]]] = []
        """(event, limit in seconds, process)."""
        self._told: set[tuple[str, str]] = set()
        self._failures: list[str] = []

    def notify(self, hooks: Sequence[Mapping[str, Any]], event: str, database: str, **figures: Any) -> None:
        """Tell an event of a database, once."""
        if not hooks or (event, database) in self._told:
            return
        self._told.add((event, database))
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = {"event": event, "at": at, "database": database, **figures}
        command = [sys.executable, "-m", "consolidation.notices.hooks"]
        limit = sum(float(hook.get("timeout_seconds", LIMIT_SECONDS)) for hook in hooks) + GRACE_SECONDS
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            assert process.stdin is not None  # noqa: S101 - it was asked for
            process.stdin.write(json.dumps({"hooks": list(hooks), "body": body}).encode())
            process.stdin.close()
            process.stdin = None
        except OSError as error:
            self._failures.append(f"{event}: {error.strerror}")
            return
        self._sent.append((event, limit, process))

    def failures(self) -> list[str]:
        """Wait for all within their limits; what failed, in words."""
        for event, limit, process in self._sent:
            try:
                output, _ = process.communicate(timeout=limit)
                self._failures += [f"{event}: {failure}" for failure in json.loads(output or b"[]")]
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                self._failures.append(f"{event}: the hooks took longer than {limit:g} s")
            except ValueError:
                self._failures.append(f"{event}: the hooks ended with {process.returncode}")
        self._sent.clear()
        return self._failures
