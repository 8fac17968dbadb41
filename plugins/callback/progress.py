"""Shows how far copy and verify are while they work."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar, trust_as_template

from consolidation import progress
from consolidation.progress_view import View, view

DOCUMENTATION = r"""
name: progress
type: notification
short_description: Shows rows, bytes, rate and time left of every table while copy and verify work
description:
  - Follows the progress files of modules that run on this machine. A table on a terminal, lines now and then elsewhere.
  - Where the modules run on another host, it prints the command that follows them there.
options:
  show:
    description: V(off) shows nothing; V(lines) prints lines on a terminal too.
    type: str
    choices: [auto, lines, 'off']
    default: auto
    env: [{name: CONSOLIDATION_PROGRESS}]
  seconds:
    description: How often lines are printed, in seconds.
    type: float
    default: 10
    env: [{name: CONSOLIDATION_PROGRESS_SECONDS}]
requirements:
  - enable it in ansible.cfg (C(callbacks_enabled=progress))
"""

ACTIONS = ("pg_copy", "pg_verify_info")
ELSEWHERE = """
{%- if ansible_connection | default('ssh') not in ('local', 'ansible.builtin.local') -%}
ssh {{ ansible_host | default(inventory_hostname) }} {{ ansible_python_interpreter | default('python3') }}
{%- endif -%}
"""
"""The start of a command that reaches the module's host; empty where that is this machine."""
INTERRUPTED = (
    "Stopped while {tasks} worked. What is done is kept: run the same command again and it goes on from there;"
    " rollback.yml goes back.\n"
)


class CallbackModule(CallbackBase):
    """Follows tasks that write a progress file, in a thread."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._play: Any = None
        self._files: dict[str, Path] = {}
        """Host -> its progress file, on this machine."""
        self._at_work: dict[str, str] = {}
        """Host -> the task that works on it."""
        self._since = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self._interrupted)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._play = play

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on a host."""
        if task.action not in ACTIONS or "progress_file" not in task.args or context.CLIARGS["check"]:
            return
        self._at_work[host.get_name()] = f"{task.action} on {host.get_name()}"
        if self.get_option("show") == "off":
            return
        variables = self._play.get_variable_manager().get_vars(play=self._play, host=host, task=task)
        templar = Templar(self._play.get_loader(), variables)
        try:
            path = Path(str(templar.template(task.args["progress_file"])))
            elsewhere = templar.template(trust_as_template(ELSEWHERE))
        except AnsibleError:
            return  # the task fails for the same reason, and says so
        if elsewhere:
            command = f"{elsewhere} -m consolidation.progress_view {path}"
            self._display.display(f"{host.get_name()}: to follow it from another terminal: {command}")
        else:
            self._follow(host.get_name(), path)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        self._ended(result.host.get_name())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002 - Ansible's signature
        """A task failed."""
        self._ended(result.host.get_name())

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task was skipped."""
        self._ended(result.host.get_name())

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer."""
        self._ended(result.host.get_name())

    def _follow(self, host: str, path: Path) -> None:
        if self._thread is None:
            self._files.clear()
            self._since = time.time()
            self._stop.clear()
            self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
            self._thread.start()
        self._files[host] = path

    def _ended(self, host: str) -> None:
        self._at_work.pop(host, None)
        if not self._at_work:
            self._finish()

    def _finish(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def _show(self) -> None:
        """The thread. It writes under the display's lock only: Ansible forks under it, and prints under it."""
        shown: View | None = None
        while True:
            is_last = self._stop.wait(progress.LOOK_SECONDS)
            found = [progress.read(path) for path in list(self._files.values())]
            states = [state for state in found if state and state.tables and state.at >= self._since]
            with self._display._lock:
                if states and shown is None:
                    shown = view(sys.stdout, self.get_option("seconds"), screen=self.get_option("show") == "auto")
                if shown is not None:
                    shown.show(states)
                if is_last:
                    if shown is not None:
                        shown.close()
                    return

    def _interrupted(self) -> None:
        """At the end of the process: with tasks at work it was Ctrl-C. The thread gives the cursor back."""
        self._finish()
        if self._at_work:
            sys.stderr.write(INTERRUPTED.format(tasks=" and ".join(self._at_work.values())))
