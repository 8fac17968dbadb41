"""The redacted log of a run, and the last lines an operator reads."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar, trust_as_template

from consolidation import evidence as run_directory

DOCUMENTATION = r"""
name: runbook
type: notification
short_description: Keeps a redacted log in the run directory and ends with where the report is
description:
  - Writes C(log.txt) (mode 0600) into the run directory, a line for each result with time, play, task, host, status and
    message. It never holds arguments, loop items, diffs or what C(no_log) hides.
  - Lines are kept in memory until a module names the run. Where none does, and in check mode, no log is written.
  - The run directory lies in the inventory variable C(consolidation_run_directory).
requirements:
  - enable it in ansible.cfg (C(callbacks_enabled=runbook))
"""

LOG = "log.txt"
MOST_FAILURES = 5


class CallbackModule(CallbackBase):
    """Follows a playbook; prints nothing before its end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "runbook"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._play: Any = None
        self._waiting: list[str] = []
        self._directories: list[Path] = []
        """Of the runs seen, the newest last."""
        self._reports: dict[str, dict[str, Any]] = {}
        """By run id."""
        self._failures: dict[str, str] = {}
        """Line -> host, in their order; a rescue repeats what it was for."""

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._play = play
        self._keep(f"PLAY {play.get_name()}")

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        if result.task.action == "ansible.builtin.validate_argument_spec":
            return
        self._find_run(result)
        self._keep_result(result, "changed" if result.result.get("changed") else "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        self._find_run(result)
        self._keep_result(result, "failed, ignored" if ignore_errors else "failed")
        if not ignore_errors:
            self._remember_failure(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer."""
        self._keep_result(result, "unreachable")
        self._remember_failure(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task was skipped."""
        self._keep_result(result, "skipped")

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """One turn of a loop failed; the item itself is not written."""
        self._keep_result(result, "failed item")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The end: seal the log, say where the report is and what comes next."""
        for directory in self._directories:
            run_directory.index(directory)
        # What a rescue or the next try mended is no failure at the end; the log has it.
        lasting = [line for line, host in self._failures.items() if host in stats.failures or host in stats.dark]
        lines = [f"Failed: {line}" for line in lasting[:MOST_FAILURES]]
        for report in self._reports.values():
            lines.append(f"Run {report['run_id']}: {report['verdict']}")
            commands = {"Next": report["next_command"], "Way back": report["way_back"]["command"]}
            lines += [f"{name + ':':9} {command}" for name, command in commands.items() if command]
            if not context.CLIARGS["check"]:
                lines.append(f"Report:   {report['path']}")
        lines += [f"Log:      {directory / LOG}" for directory in self._directories]
        if lines:
            self._display.display("\n" + "\n".join(lines))

    def _remember_failure(self, result: Any) -> None:
        host = result.host.get_name()
        self._failures[f"{host}: {_message(result.result)}"] = host

    def _find_run(self, result: Any) -> None:
        run_id = result.result.get("run_id")
        report = result.result.get("report")
        if isinstance(report, dict) and "verdict" in report:
            run_id = report["run_id"]
            self._reports[run_id] = report
        if context.CLIARGS["check"] or not run_id or not isinstance(run_id, str):
            return
        if self._directories and self._directories[-1].name == run_id:
            return
        base = self._run_directory(result.host)
        if base is not None and base / run_id not in self._directories:
            self._directories.append(base / run_id)

    def _run_directory(self, host: Any) -> Path | None:
        """consolidation_run_directory as the host sees it; None where the inventory has none."""
        variables = self._play.get_variable_manager().get_vars(play=self._play, host=host)
        if "consolidation_run_directory" not in variables:
            return None
        templar = Templar(self._play.get_loader(), variables)
        try:
            found = templar.template(trust_as_template("{{ consolidation_run_directory }}"))
        except AnsibleError:
            return None
        return Path(str(found))

    def _keep_result(self, result: Any, status: str) -> None:
        play = self._play.get_name() if self._play else ""
        line = f"{play} | {result.task_name} | {result.host.get_name()} | {status}"
        message = _message(result.result)
        self._keep(f"{line} | {message}" if message else line)

    def _keep(self, text: str) -> None:
        self._waiting.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z {_printable(text)}\n")
        if not self._directories:
            return
        path = self._directories[-1] / LOG
        run_directory.make(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.writelines(self._waiting)
        self._waiting.clear()


def _message(values: Any) -> str:
    """The message of a result; what no_log hides has none."""
    if "censored" in values:
        return "(hidden by no_log)"
    message = values.get("msg", "")
    return message if isinstance(message, str) else ""


def _printable(text: str) -> str:
    """Names may hold anything: control characters would let them forge lines or move the cursor."""
    lines = ("".join(char if char.isprintable() else "�" for char in line) for line in text.split("\n"))
    return "\n    ".join(lines)
