"""The action plugin ``run_evidence``: the evidence is kept on the control node. library/ documents it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from consolidation import evidence
from consolidation.module.control_node import KEEP, outcome


class ActionModule(ActionBase):
    """Compare, and write what differs."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(argument_spec=KEEP)
        return result | outcome(lambda: self._keep(given))

    def _keep(self, given: dict[str, Any]) -> dict[str, Any]:
        path = evidence.evidence_path(*(given[name] for name in ("directory", "run_id", "database", "phase")))
        text = evidence.evidence(given["content"])
        changed = evidence.read(path) != text
        if changed and not self._task.check_mode:
            evidence.write(path, text)
        return {"changed": changed, "path": str(path)}
