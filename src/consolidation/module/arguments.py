"""Argument specs that the modules share (documented in plugins/doc_fragments/consolidation.py)."""

from __future__ import annotations

from typing import Any

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


def database(**more: dict[str, Any]) -> dict[str, Any]:
    """The argument spec of a module that works on one service database, with the module's own options added."""
    options = {
        "name": {"type": "str", "required": True},
        "source": connection(),
        "source_schema": {"type": "str", "default": "public"},
        "tables": {"type": "list", "elements": "str", "default": []},
        "mode": {"type": "str", "default": "window", "choices": ["window", "online"]},
        "application_roles": {"type": "list", "elements": "str", "default": []},
        "target": connection(),
        "target_roles": {"type": "list", "elements": "str", "default": []},
    }
    return {"database": {"type": "dict", "required": True, "options": options}, **more}
