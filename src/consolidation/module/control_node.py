"""The modules that work on the control node: action plugins, with their options and documentation in library/."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, Protocol

from consolidation.borders import Json
from consolidation.errors import ConsolidationError
from consolidation.modes.choice import WANTED
from consolidation.modes.strategy import WINDOW as WINDOW_MODE

TEXT: Json = {"type": "str", "required": True}
DIRECTORY: Json = {"type": "path", "required": True}

EVIDENCE: Json = {"directory": DIRECTORY, "run_id": TEXT, "database": TEXT, "phase": TEXT}
KEEP: Json = {**EVIDENCE, "content": {"type": "dict", "required": True}}

NOTICE: Json = {
    "hooks": {"type": "list", "elements": "dict", "required": True},
    "event": {**TEXT, "choices": ["begin", "hold", "fence"]},
    "run_id": TEXT,
    "database": TEXT,
}

WINDOW: Json = {
    "database": TEXT,
    "size_bytes": {"type": "int", "required": True},
    "directory": DIRECTORY,
    "window_end": TEXT,
    "upcoming": {**TEXT, "choices": ["outage", "cutover"]},
    "mode": {"type": "str", "default": WINDOW_MODE, "choices": list(WANTED)},
}

REPORT: Json = {
    "journal": {"type": "dict", "required": True},
    "directory": DIRECTORY,
    "databases": {"type": "list", "elements": "str", "required": True},
    "migrate_command": TEXT,
    "rollback_command": TEXT,
    "finalize_command": TEXT,
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


class Module(Protocol):
    """The part of AnsibleModule that is used here; the core imports no Ansible."""

    def fail_json(self, msg: str) -> NoReturn:
        """End the module with a failure."""


def require_plugin(module: Module, name: str) -> NoReturn:
    """What is in library/ is reached only where Ansible does not find the action plugin."""
    module.fail_json(msg=f"{name} works on the control node: add plugins/action to action_plugins of ansible.cfg")


def outcome(work: Callable[[], Json]) -> Json:
    """What an action plugin returns: what came of the work, or the failure with its hint."""
    try:
        return work()
    except ConsolidationError as error:
        return {"failed": True, "msg": str(error), "error": type(error).__name__, "hint": error.hint, **error.facts}
