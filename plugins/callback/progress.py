"""Shows how far copy and verify are while they work."""

from __future__ import annotations

import atexit
import shlex
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from consolidation.progress import reporter as progress
from consolidation.progress.view import View, view

DOCUMENTATION = r"""
name: progress
type: notification
short_description: Shows rows, bytes, rate and time left of every table while copy and verify work
description:
  - Follows the files that the modules write on their hosts. A table on a terminal, lines now and then elsewhere.
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

PHASES = {"pg_copy": "copy", "pg_verify_info": "verify"}
"""Module -> the phase that its progress file tells of."""
CLOCKS_SECONDS = 30
"""How much another host's clock may be behind ours."""
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
        self._files: list[_File] = []
        self._at_work: dict[str, str] = {}
        """Host -> the module that works on it."""
        self._since = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self._interrupted)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._play = play

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on a host."""
        if task.action not in PHASES or "progress_file" not in task.args or context.CLIARGS["check"]:
            return
        self._at_work[host.get_name()] = task.action
        if self.get_option("show") == "off":
            return
        variables = self._play.get_variable_manager().get_vars(play=self._play, host=host, task=task)
        with suppress(AnsibleError):  # the task fails for the same reason, and says so
            self._follow(_File(self._play, task, variables))

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

    def _follow(self, file: _File) -> None:
        if self._thread is None:
            self._files = []
            self._since = time.time() - CLOCKS_SECONDS
            self._stop.clear()
            self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
            self._thread.start()
        self._files.append(file)

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
            found = [file.read() for file in list(self._files)]
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
            tasks = " and ".join(f"{module} on {host}" for host, module in self._at_work.items())
            sys.stderr.write(INTERRUPTED.format(tasks=tasks))


class _File:
    """The progress file of a task on its host, read as Ansible reaches the host.

    Everything is loaded here, in the main thread: Ansible forks, and an import under way in another thread would stay
    locked in the child.
    """

    def __init__(self, play: Any, task: Any, variables: dict[str, Any]) -> None:
        templar = Templar(play.get_loader(), variables)
        self._phase = PHASES[task.action]
        self._path = str(templar.template(task.args["progress_file"]))
        name = templar.template(variables.get("ansible_connection", task.connection))
        self._connection = connection_loader.get(name, PlayContext(play=play), new_stdin=None)
        options = C.config.get_plugin_vars("connection", self._connection._load_name)
        given = {option: templar.template(variables[option]) for option in options if option in variables}
        self._connection.set_options(var_options=given)

    def read(self) -> progress.Progress | None:
        """What it tells of the phase; None where it does not, or cannot be reached."""
        if self._connection.transport == "local":
            state = progress.read(Path(self._path))
        else:
            try:
                _, output, _ = self._connection.exec_command(f"cat {shlex.quote(self._path)}", sudoable=False)
            except AnsibleError:
                return None
            state = progress.parse(output)
        return state if state and state.phase == self._phase else None
