"""The stdout callback ``console``: one line for each phase and database."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default

from consolidation.console.board import Board, Event, Shown
from consolidation.console.figures import BAD, GOOD, OUTAGE, WARNING

DOCUMENTATION = r"""
name: console
type: stdout
short_description: One line for each phase and database of the runbook
description:
  - Shows each phase of each database in one line, with its duration, verdict and key figure, and nothing else.
  - With C(-v) it is Ansible's own callback C(default), with every task.
  - The last lines of a run come from the callback C(runbook), whichever callback writes to stdout.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set it as stdout in ansible.cfg (C(stdout_callback=console))
"""

COLOURS = {GOOD: "COLOR_OK", WARNING: "COLOR_WARN", BAD: "COLOR_ERROR", OUTAGE: "COLOR_ERROR"}


class CallbackModule(Default):
    """Ansible's own callback, quiet unless it is asked for its tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "console"

    def __init__(self) -> None:
        super().__init__()
        self._board = Board()
        self._begun: dict[tuple[str, str], float] = {}
        """(host, task) -> when it began."""

    @property
    def _is_quiet(self) -> bool:
        return self._display.verbosity == 0

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """The first line: what was called, and when."""
        super().v2_playbook_on_start(playbook)
        if self._is_quiet:
            check = context.CLIARGS.get("check")
            self._board = Board(check=bool(check))
            sources = ", ".join(Path(str(source)).name for source in context.CLIARGS.get("inventory") or ())
            limit = f", limited to {context.CLIARGS['subset']}" if context.CLIARGS.get("subset") else ""
            look = "  LOOK ONLY, nothing is changed" if check else ""
            name = Path(str(playbook._file_name)).name
            self._show([Shown(f"{name}  {sources}{limit}  {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC{look}")])

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        if self._is_quiet:
            self._play = play
            self._show(self._board.play_ends())
        else:
            super().v2_playbook_on_play_start(play)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on a host."""
        if self._is_quiet:
            self._begun[host.get_name(), task._uuid] = time.monotonic()
            self._show(self._board.starts(host.get_name(), _role(task)))
        else:
            super().v2_runner_on_start(host, task)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        self._end(result, "ok") if self._is_quiet else super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        if self._is_quiet:
            self._end(result, "ignored" if ignore_errors else "failed")
        else:
            super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer."""
        if self._is_quiet:
            self._end(result, "ignored" if result.task.ignore_unreachable else "unreachable")
        else:
            super().v2_runner_on_unreachable(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The end; the last lines are those of the callback ``runbook``."""
        self._show(self._board.rest()) if self._is_quiet else super().v2_playbook_on_stats(stats)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """A play without hosts."""
        if self._is_quiet:
            self._show([Shown("No host: the inventory, or --limit, has none for this play", WARNING)])
        else:
            super().v2_playbook_on_no_hosts_matched()

    def _end(self, result: Any, status: str) -> None:
        host, task = result.host.get_name(), result.task
        seconds = time.monotonic() - self._begun.pop((host, task._uuid), time.monotonic())
        event = Event(host, _role(task), task.action, task.args, result.result, status, seconds)
        self._show(self._board.ends(event))

    def _show(self, lines: Iterable[Shown]) -> None:
        for line in lines:
            colour = COLOURS.get(line.tone)
            self._display.display(line.text, color=getattr(C, colour) if colour else None)


def _role(task: Any) -> str:
    return str(task._role.get_name()) if task._role else ""


def _quiet(name: str) -> Any:
    original = getattr(Default, name)

    def method(self: CallbackModule, *arguments: Any, **keywords: Any) -> None:
        if not self._is_quiet:
            original(self, *arguments, **keywords)

    method.__name__, method.__doc__ = name, original.__doc__ or "Shown with -v."
    return method


for _name in (
    "v2_runner_on_skipped",
    "v2_playbook_on_no_hosts_remaining",
    "v2_playbook_on_task_start",
    "v2_playbook_on_handler_task_start",
    "v2_on_file_diff",
    "v2_runner_item_on_ok",
    "v2_runner_item_on_failed",
    "v2_runner_item_on_skipped",
    "v2_playbook_on_include",
    "v2_runner_retry",
    "v2_runner_on_async_poll",
    "v2_runner_on_async_ok",
    "v2_runner_on_async_failed",
    "v2_playbook_on_notify",
):
    setattr(CallbackModule, _name, _quiet(_name))
