"""The action plugin ``run_window_info``: the tickets are on the control node. library/ documents it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from consolidation.modes.choice import follows
from consolidation.module.control_node import WINDOW, outcome
from consolidation.review.expect import expect
from consolidation.review.window import judge


class ActionModule(ActionBase):
    """Judge."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(argument_spec=WINDOW)
        return result | outcome(lambda: _judged(given))


def _judged(given: dict[str, Any]) -> dict[str, Any]:
    base = Path(given["directory"])
    expected = expect(given["database"], given["size_bytes"], base, online=follows(given["mode"]))
    found = judge(given["database"], expected, given["upcoming"], given["window_end"], datetime.now(UTC))
    return {"changed": False, "failed": not found.go} | found.as_result()
