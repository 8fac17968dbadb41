"""The action plugin ``service_preflight_info``: looked at on the host, judged here. library/ documents it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import action_loader

from consolidation import evidence
from consolidation.module.control_node import LOOK, LOOK_NEEDS, outcome
from consolidation.preflight import services

Normal: Any = action_loader.get("normal", class_only=True)


class ActionModule(Normal):
    """One look at the host for all findings."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = ActionBase.run(self, tmp, task_vars)
        _, given = self.validate_argument_spec(argument_spec=LOOK, **LOOK_NEEDS)
        asked = {"files": _files(given), "read": _read(given), "health_url": given["health_url"]}
        seen = self._execute_module("service_host_info", asked, task_vars=task_vars)
        if seen.get("failed") or seen.get("unreachable"):
            return result | seen
        return result | outcome(lambda: self._judge(given, seen))

    def _judge(self, given: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
        judged = services.judge(given, seen["files"], seen["health"]["status"])
        if given["evidence"] and not self._task.check_mode:
            where = (given["evidence"][name] for name in ("directory", "run_id", "database", "phase"))
            evidence.write(evidence.evidence_path(*where), evidence.evidence(judged))
        return {"changed": False} | judged


def _files(given: dict[str, Any]) -> list[str]:
    folder = str(PurePath(given["config"]).parent)
    if given["next_release"] is None:
        return [folder]
    return [folder, given["current_release"], f"{given['next_release']}/.ready", f"{given['next_release']}/wheelhouse"]


def _read(given: dict[str, Any]) -> list[str]:
    requirements = f"{given['next_release']}/requirements.txt"
    return [given["config"]] if given["next_release"] is None else [given["config"], requirements]
