"""The action plugin ``run_notice``: hooks run on the control node. library/ documents it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.plugins.action import ActionBase

from consolidation.module.control_node import NOTICE, outcome
from consolidation.notices import hooks


class ActionModule(ActionBase):
    """Notify them."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(argument_spec=NOTICE)
        return result | outcome(lambda: self._notify(given.pop("hooks"), given))

    def _notify(self, inventory: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
        wanted = hooks.of_event(inventory, body["event"])
        if self._task.check_mode:
            return {"changed": False, "notified": 0}
        hooks.require(wanted, body | {"at": datetime.now(UTC).isoformat(timespec="milliseconds")})
        return {"changed": False, "notified": len(wanted)}
