"""Go or no-go: does what is still to come fit into what is left of the maintenance window?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from consolidation import text
from consolidation.borders import Json
from consolidation.errors import ConfigurationError
from consolidation.report.outcome import time_of
from consolidation.review.expect import BETWEEN, Expected

OUTAGE, CUTOVER = "outage", ("cutover", "services", BETWEEN)
"""From where on: before the fence the whole outage, before the cutover the rest of it."""


@dataclass(frozen=True)
class Verdict:
    """Whether it fits."""

    database: str
    needed_seconds: float
    left_seconds: float
    """Until the window's end; negative after it."""
    basis: str

    @property
    def go(self) -> bool:
        """Whether it fits."""
        return self.needed_seconds <= self.left_seconds

    @property
    def msg(self) -> str:
        """For people."""
        left = text.duration(self.left_seconds) + " are left" if self.left_seconds > 0 else "it is over"
        word = "GO" if self.go else "NO-GO"
        needed = text.duration(self.needed_seconds)
        return f"{self.database}: {word}: about {needed} of the window are needed, {left} ({self.basis})"

    def as_result(self) -> Json:
        """For the module."""
        return {
            "go": self.go,
            "needed_seconds": round(self.needed_seconds, 1),
            "left_seconds": round(self.left_seconds, 1),
            "msg": self.msg,
        }


def judge(database: str, expected: Expected, upcoming: str, end: str, now: datetime) -> Verdict:
    """``end``: ISO 8601 with zone. Raises ConfigurationError."""
    ends_at = time_of(end)
    if ends_at is None:
        raise ConfigurationError(
            f"consolidation_window_end is {end!r}, not a moment with a zone",
            hint="give it as 2026-11-29T02:00:00+00:00; nothing was closed",
        )
    phases = expected.outage if upcoming == OUTAGE else CUTOVER
    needed = sum(expected.seconds.get(phase, 0.0) for phase in phases)
    return Verdict(database, needed, (ends_at - now).total_seconds(), expected.basis)
