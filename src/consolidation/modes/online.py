"""Mode online: as copy, while the source is written; it closes for the moment of the cutover."""

from __future__ import annotations

from consolidation.modes.strategy import ONLINE as WANTED
from consolidation.modes.strategy import Strategy

ONLINE = Strategy("online", WANTED, two_copies=True, follows=True)
