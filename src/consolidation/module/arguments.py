"""Argument specs that the modules share (documented in plugins/doc_fragments/consolidation.py)."""

from __future__ import annotations

from typing import Any

from consolidation.modes.choice import WANTED
from consolidation.modes.strategy import WINDOW

SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


def connection() -> dict[str, Any]:
    """The options of one connection."""
    return {
        "type": "dict",
        "required": True,
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 5432},
            "dbname": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "passfile": {"type": "path"},
            "sslmode": {"type": "str", "default": "prefer", "choices": SSL_MODES},
            "sslrootcert": {"type": "path"},
            "sslcert": {"type": "path"},
            "sslkey": {"type": "path"},
            "connect_timeout": {"type": "int", "default": 10},
        },
    }


def phase(**more: dict[str, Any]) -> dict[str, Any]:
    """The same for a module that changes something: it needs the run that the operator's command has begun."""
    return database(run_id={"type": "str", "required": True}, **more)


def rounds(pause_seconds: float) -> dict[str, Any]:
    """The options of a module that brings over what one side has noted."""
    return {
        "lag_seconds": {"type": "float", "default": 0.5},
        "tries": {"type": "int", "default": 60},
        "pause_seconds": {"type": "float", "default": pause_seconds},
    }


def change_over() -> dict[str, Any]:
    """The options of a module that closes the side it has followed, and opens the other one."""
    return {
        **rounds(0.2),
        "timeout_seconds": {"type": "float", "default": 60},
        "budget_seconds": {"type": "float", "default": 10},
    }


def database(**more: dict[str, Any]) -> dict[str, Any]:
    """The argument spec of a module that works on one service database, with the module's own options added."""
    options = {
        "name": {"type": "str", "required": True},
        "source": connection(),
        "source_schema": {"type": "str", "default": "public"},
        "tables": {"type": "list", "elements": "str", "default": []},
        "mode": {"type": "str", "default": WINDOW, "choices": list(WANTED)},
        "application_roles": {"type": "list", "elements": "str", "default": []},
        "target": connection(),
        "target_roles": {"type": "list", "elements": "str", "default": []},
    }
    return {"database": {"type": "dict", "required": True, "options": options}, **more}
