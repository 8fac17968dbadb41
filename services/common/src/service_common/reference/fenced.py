"""Writes to a table that the runbook has closed: they wait until it is open again, which takes about a second.

The refused statement wrote nothing, so sending it again is safe. While a write waits it holds no connection to the
database. When the process is asked to end, as at a restart with another configuration, it waits no longer: the next
process takes the request over.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from service_common.handover import Ending, ending
from service_common.reference.backend import Records

PAUSE_SECONDS = (0.05, 0.15)
"""Between two attempts: spread, so that those who wait do not all come at once."""
RESERVE_SECONDS = 2
"""Of the time that a request may take, for the last attempt and the answer."""
Write = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class PatientWrites:
    """Lets the writes of records wait for at most `limit_seconds`; then they fail as the backend says."""

    limit_seconds: float
    is_fenced: Callable[[Exception], bool]

    @classmethod
    def within(
        cls, limit_seconds: float, request_seconds: float, is_fenced: Callable[[Exception], bool]
    ) -> "PatientWrites":
        return cls(min(limit_seconds, max(request_seconds - RESERVE_SECONDS, 0)), is_fenced)

    def of(self, records: Records) -> Records:
        """The same records, with writes that wait."""
        patient = self._patient
        return replace(
            records,
            create=patient(records.create),
            update=patient(records.update),
            delete=patient(records.delete),
        )

    def _patient(self, write: Write) -> Write:
        async def waiting(*arguments: Any) -> Any:
            deadline = time.monotonic() + self.limit_seconds
            while True:
                try:
                    return await write(*arguments)
                except Exception as error:
                    if not self.is_fenced(error) or time.monotonic() >= deadline:
                        raise
                await _pause()

        return waiting


async def _pause() -> None:
    """Raises Ending."""
    try:
        async with asyncio.timeout(random.uniform(*PAUSE_SECONDS)):  # noqa: S311 - no secret
            await ending.wait()
    except TimeoutError:
        return
    raise Ending("The table is closed for writes and this process ends; nothing was written.")
