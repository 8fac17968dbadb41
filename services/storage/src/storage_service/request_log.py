"""One line per request, written a few times a second: a line of its own each time costs more than some requests."""

import asyncio
import sys
import time
from datetime import UTC, datetime

import msgspec

FLUSH_SECONDS = 0.1
STRANGERS_PER_SECOND = 20
"""Lines for requests without a valid token, public pages too: strangers must not be able to fill the disk."""
_ENCODER = msgspec.json.Encoder()


class _Line(msgspec.Struct, gc=False):
    time: str
    level: str
    logger: str
    message: str
    method: str
    path: str
    status: int
    milliseconds: float
    caller: str | None
    request_id: str


class RequestLog:
    """Collects the lines; they are JSON, on stderr, like all others."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._second, self._second_text = 0, ""
        self._strangers = (0, 0)

    def add(  # noqa: PLR0913, PLR0917 - the fields of a line
        self, method: str, path: str, status: int, seconds: float, caller: str | None, request_id: str
    ) -> None:
        now = time.time()
        second = int(now)
        if caller is None and not self._room(second):
            return
        if second != self._second:
            self._second, self._second_text = second, datetime.fromtimestamp(second, UTC).isoformat()[:19]
        at = f"{self._second_text}.{int((now - second) * 1000):03d}+00:00"
        milliseconds = round(seconds * 1000, 2)
        line = _Line(at, "info", "request", "request", method, path, status, milliseconds, caller, request_id)
        self._lines.append(_ENCODER.encode(line))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines = self._lines, []
            sys.stderr.write(b"\n".join([*lines, b""]).decode())

    def _room(self, second: int) -> bool:
        self._strangers = (second, self._strangers[1] + 1 if self._strangers[0] == second else 1)
        return self._strangers[1] <= STRANGERS_PER_SECOND
