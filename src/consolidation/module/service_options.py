"""The options of the modules that are action plugins, the same for their documentation in library/."""

from __future__ import annotations

from consolidation.borders import Json

EVIDENCE: Json = {"directory": {"type": "path", "required": True}} | {
    name: {"type": "str", "required": True} for name in ("run_id", "database", "phase")
}

CONFIG: Json = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "required": True, "choices": ["staged", "previous", "served"]},
    "schema": {"type": "str"},
    "before": {"type": "path", "required": True},
    "after": {"type": "path", "required": True},
    "entries": {"type": "dict"},
    "evidence": {"type": "dict", "options": EVIDENCE},
}
CONFIG_NEEDS: Json = {"required_if": [("state", "staged", ["schema"]), ("state", "served", ["entries"])]}

LOOK: Json = {
    "host": {"type": "str", "required": True},
    "config": {"type": "path", "required": True},
    "health_url": {"type": "str", "required": True},
    "restartable": {"type": "bool", "required": True},
    "schema": {"type": "str"},
    "current_release": {"type": "path"},
    "next_release": {"type": "path"},
    "entries": {"type": "dict"},
    "called": {"type": "bool", "default": False},
    "evidence": {"type": "dict", "options": EVIDENCE},
}
LOOK_NEEDS: Json = {
    "required_one_of": [("next_release", "entries")],
    "mutually_exclusive": [("next_release", "entries")],
    "required_by": {"next_release": ["schema", "current_release"]},
}
