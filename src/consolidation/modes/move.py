"""Mode move: the tables are in the storage database already, and get another schema (SET SCHEMA) behind their fence."""

from __future__ import annotations

from consolidation.modes.strategy import WINDOW, Strategy

MOVE = Strategy("move", WINDOW, two_copies=False, follows=False)
