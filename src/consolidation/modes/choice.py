"""The one place that chooses: the modes that there are, and which of them a database has."""

from __future__ import annotations

from consolidation.modes.copy import COPY
from consolidation.modes.move import MOVE
from consolidation.modes.online import ONLINE
from consolidation.modes.strategy import Strategy

MODES = (COPY, ONLINE, MOVE)
WANTED = tuple(dict.fromkeys(mode.wanted for mode in MODES))
"""What the inventory may ask for."""


def choose(wanted: str, *, in_place: bool) -> Strategy | None:
    """The mode of a database whose tables are in the storage database already, or not; None where there is none."""
    return next((mode for mode in MODES if mode.wanted == wanted and mode.two_copies != in_place), None)


def follows(wanted: str) -> bool:
    """Whether a database that the inventory asks this for is followed while it is written."""
    return any(mode.follows for mode in MODES if mode.wanted == wanted)
