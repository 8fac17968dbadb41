"""The action plugin ``service_config``: read on the host, planned here, written on the host. library/ documents it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import action_loader

from consolidation import evidence
from consolidation.module.control_node import CONFIG, CONFIG_NEEDS, outcome
from consolidation.services import config

Normal: Any = action_loader.get("normal", class_only=True)


class ActionModule(Normal):
    """One plan: its result, its diff, and what is written."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        _, given = self.validate_argument_spec(argument_spec=CONFIG, **CONFIG_NEEDS)
        paths = [given[name] for name in ("path", "before", "after")]
        seen = self._execute_module("service_host_info", {"read": paths}, task_vars=task_vars)
        if seen.get("failed") or seen.get("unreachable"):
            return result | seen
        read = {path: _content(seen["files"][path]) for path in paths}
        return result | outcome(lambda: self._change(given, read, task_vars))

    def _change(
        self, given: dict[str, Any], read: dict[str, bytes | None], task_vars: dict[str, Any] | None
    ) -> dict[str, Any]:
        change = config.change(given, read)
        written = self._write(change, given["path"], task_vars)
        if not written.get("failed") and given["evidence"] and not self._task.check_mode:
            _keep(given["evidence"], change)
        return {"changed": change.changed, "diff": change.plan.diff()} | change.as_result() | written

    def _write(self, change: config.Change, like: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Nothing, or the failure."""
        if not change.changed or self._task.check_mode:
            return {}
        files = [{"path": path, "content": b64encode(text).decode(), "like": like} for path, text in change.writes]
        done = self._execute_module("service_files", {"files": files}, task_vars=task_vars)
        return {
            key: done[key] for key in ("failed", "unreachable", "msg") if done.get("failed") or done.get("unreachable")
        }


def _content(file: dict[str, Any]) -> bytes | None:
    return b64decode(file["content"]) if "content" in file else None


def _keep(where: dict[str, str], change: config.Change) -> None:
    """What a later look, which changes nothing, does not replace."""
    path = evidence.evidence_path(*(where[name] for name in ("directory", "run_id", "database", "phase")))
    if change.plan.changed or evidence.read(path) is None:
        evidence.write(path, evidence.evidence(change.as_result()))
