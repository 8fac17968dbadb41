"""The action plugin ``run_report``: the report is written on the control node. library/ documents it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from consolidation.module.control_node import REPORT, outcome
from consolidation.report import phase as report


class ActionModule(ActionBase):
    """Plan, and write what is stale."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(argument_spec=REPORT)
        return result | outcome(lambda: self._write(given))

    def _write(self, given: dict[str, Any]) -> dict[str, Any]:
        commands = {name: given[f"{name}_command"] for name in ("migrate", "rollback", "finalize")}
        plan = report.plan(given["journal"], given["directory"], commands, given["databases"])
        summary = dict(plan.summary) if self._task.check_mode else report.apply(plan)
        return {"changed": plan.changed, "diff": plan.diff(), "report": summary}
