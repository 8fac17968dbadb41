"""How fast keys are noted and brought over, from round to round: what the operator sees while a phase follows."""

from __future__ import annotations

import time

from consolidation.borders import Json
from consolidation.follow.rounds import Round

ENTRY_BYTES = 45
"""Of the log, about."""


class Pace:
    """Fed with every round of a follower."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def read(self, done: Round, waiting_bytes: int) -> Json:
        """Figures after a round.

        ``noted_per_second`` are keys, over the time since the round before; None where this round has left some.
        ``eta_seconds``: until what waits is brought over, None where keys come faster than they go.
        """
        now = time.monotonic()
        passed, self._last = now - self._last, now
        noted = done.keys / passed if done.complete and passed else None
        brought = done.keys / done.seconds if done.keys and done.seconds else None
        waiting = waiting_bytes / ENTRY_BYTES
        gains = brought - (noted or 0) if brought else None
        return {
            "waiting_bytes": waiting_bytes,
            "noted_per_second": None if noted is None else round(noted, 1),
            "brought_per_second": None if brought is None else round(brought, 1),
            "eta_seconds": round(waiting / gains, 1) if gains and gains > 0 else None,
        }
