"""Structured logs: one JSON object per line on stderr, without bodies, headers or query strings."""

import json
import logging
import sys
import time
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """A record as one JSON line; `extra={"fields": {...}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


class Sparse(logging.Filter):
    """Lets one line of a kind through a second: strangers must not be able to fill the disk.

    asyncio logs every refused accept, uvicorn every request that is not HTTP.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # Their messages are templates, a fixed number of them.
        now = time.monotonic()
        if now - self._last.get(str(record.msg)[:40], -1) < 1:
            return False
        self._last[str(record.msg)[:40]] = now
        return True


def configure() -> None:
    """Send every logger's lines to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(Sparse())
    # uvicorn logs the text of an exception, which may carry row data; problem.py logs its place instead.
    logging.getLogger("uvicorn.error").addFilter(lambda record: not record.exc_info)
