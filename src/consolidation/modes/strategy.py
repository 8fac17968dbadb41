"""What the phases ask of a mode."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW, ONLINE = "window", "online"
"""The values of ``consolidation_database.mode``."""


@dataclass(frozen=True)
class Strategy:
    """How a database's rows get to their schema; each mode is one value, in a file of its own."""

    name: str
    """As the journal and module results have it."""
    wanted: str
    """The value of ``consolidation_database.mode`` that asks for it."""
    two_copies: bool
    """Source and target each have rows of their own; else the source's tables are in the storage database already and
    become the target's: their fence, sequences and everything else come along."""
    follows: bool
    """The source is written while it is copied and verified; what changes is noted, and followed until the cutover."""
