"""When the rounds are short enough to close the origin: figures in, a decision out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consolidation.text import count, duration

LAST = 2
"""Rounds that must be short, one after the other: a single one may have met a quiet moment."""


@dataclass(frozen=True)
class Seen:
    """One round as the gate sees it."""

    seconds: float
    keys: int
    rows: int
    complete: bool


@dataclass(frozen=True)
class Gate:
    """What is asked of the rounds before the origin is closed."""

    lag_seconds: float = 0.5
    """A round may take so long: about what the last one takes in the outage."""
    tries: int = 60
    """Rounds without the gate being met, before it is given up."""

    def is_met(self, rounds: Sequence[Seen]) -> bool:
        """Whether the last rounds were short and complete."""
        last = rounds[-LAST:]
        return len(last) == LAST and all(seen.complete and seen.seconds <= self.lag_seconds for seen in last)

    def gives_up(self, rounds: Sequence[Seen]) -> bool:
        """Whether the rounds do not become short enough. A round that had more to bring than it takes does not count:
        it works off what the copy has left."""
        return not self.is_met(rounds) and sum(seen.complete for seen in rounds) >= self.tries

    def why(self, rounds: Sequence[Seen]) -> str:
        """What keeps the gate shut, in words with figures."""
        if not rounds:
            return "no round yet"
        last = rounds[-1]
        rate = f", {count(last.keys / last.seconds)} keys/s" if last.seconds else ""
        more = "" if last.complete else ", and more is waiting"
        return (
            f"the last round took {duration(last.seconds)} for {count(last.keys)} keys{rate}{more};"
            f" {duration(self.lag_seconds)} is the limit"
        )
