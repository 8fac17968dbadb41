"""Watches playbooks of the tests: what a module of library/ returns is what its RETURN says."""

from __future__ import annotations

import ast
import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.callback import CallbackBase

LIBRARY = Path(__file__).parents[2] / "library"
FILE = "CONSOLIDATION_TEST_RETURNS"
"""Environment variable with the file that gets a line for each fault."""
COMMON = {"ansible_facts", "attempts", "changed", "diff", "failed", "failed_when_result", "invocation", "warnings"}
NO_RESULT = ("ansible_job_id", "censored", "skipped", "unreachable")
"""One of these says that the module has not returned, as yet (``async``), or that what it has is hidden."""
TYPES = {"bool": bool, "dict": dict, "float": (int, float), "int": int, "list": list, "str": str}
ON_FAILURE = {"error", "exception", "hint", "module_stderr", "module_stdout", "msg", "rc"}
"""``error``, ``hint`` and ``msg`` come from consolidation.module.failures, the same for all modules."""
OF_PATH = {"gid", "group", "mode", "owner", "secontext", "size", "state", "uid"}
"""Ansible's AnsibleModule looks at the file itself where a result has a ``path`` or ``dest``, and adds these."""


class CallbackModule(CallbackBase):
    """Compares every result that is not hidden."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "returns"

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        for each in result.result.get("results", [result.result]):
            _compare(result.task.action, each)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002 - Ansible's
        """A task failed; Ansible leaves that word out of what it gives to callbacks."""
        for each in result.result.get("results", [result.result | {"failed": True}]):
            _compare(result.task.action, each)


def faults(documented: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """What a result has that RETURN does not name, and what it lacks that RETURN promises always."""
    if any(result.get(key) for key in NO_RESULT):
        return []
    of_loop = {"ansible_loop_var", result.get("ansible_loop_var")}
    keys = {key for key in result if not key.startswith("_")} - COMMON - of_loop
    found = [f"returns {key}, which RETURN does not name" for key in sorted(keys - set(documented) - _excused(result))]
    for key in sorted(keys & set(documented)):
        wanted = TYPES[documented[key]["type"]]
        if result[key] is not None and not isinstance(result[key], wanted):
            found.append(f"returns {key} as {type(result[key]).__name__}, RETURN says {documented[key]['type']}")
    always = {key for key, said in documented.items() if said["returned"] == "always"}
    return found + [f"lacks {key}, which RETURN promises" for key in sorted(always - keys) if not result.get("failed")]


def _excused(result: dict[str, Any]) -> set[str]:
    return (ON_FAILURE if result.get("failed") else set()) | (OF_PATH if {"dest", "path"} & set(result) else set())


def _compare(module: str, result: dict[str, Any]) -> None:
    path = LIBRARY / f"{module}.py"
    if FILE not in os.environ or not path.exists():
        return
    if found := faults(documented(path), result):
        with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
            file.writelines(f"{module} {fault}\n" for fault in found)


@cache
def documented(path: Path) -> dict[str, Any]:
    """The RETURN section of a module."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RETURN":
            return yaml.safe_load(ast.literal_eval(node.value)) or {}
    return {}
