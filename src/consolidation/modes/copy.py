"""Mode copy: the source is closed, copied and verified behind its fence."""

from __future__ import annotations

from consolidation.modes.strategy import WINDOW, Strategy

COPY = Strategy("copy", WINDOW, two_copies=True, follows=False)
