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
from consolidation.progress.view import View, Working, view

DOCUMENTATION = r"""
name: progress
type: notification
short_description: Shows rows, bytes, rate and time left of every table while copy and verify work, and what else works
description:
  - Loaded from C(callback_plugins) of ansible.cfg, whatever else is enabled.
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
"""

PHASES = {"pg_copy": "copy", "pg_verify_info": "verify"}
"""Module -> the phase that its progress file is about."""
LONG = {
    "alembic_upgrade": "schema",
    "pg_backup": "backup",
    "pg_capture": "capture",
    "pg_cutover": "cutover",
    "pg_fence": "fence",
    "pg_follow": "follow",
    "pg_move_tables": "copy",
    "pg_preflight_info": "preflight",
    "pg_proof": "proof",
    "pg_reconcile": "rollback",
    "pg_restore": "restore",
    "pg_rollback": "rollback",
    "service_proof": "services",
    "service_switch": "services",
}
"""Module -> what is shown of it while it works, on a terminal: it has no figures on the way."""
SHORT_SECONDS = 2.0
"""What takes no longer is not shown while it works."""
CLOCKS_SECONDS = 30
"""How much another host's clock may be behind ours."""


class CallbackModule(CallbackBase):
    """Follows tasks that write a progress file, in a thread."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "progress"
    # Whatever ANSIBLE_CALLBACKS_ENABLED says, as AWX and others set it.
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._play: Any = None
        self._files: list[_File] = []
        self._active: dict[str, tuple[str, float]] = {}
        """Host -> the phase that its module works for, and since when."""
        self._since = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002 - Ansible's signature
        """The beginning."""
        # Gives the cursor back. Registered here, so that it comes before the last words of the other callbacks.
        atexit.register(self._finish)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._play = play

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on a host."""
        if context.CLIARGS["check"] or self.get_option("show") == "off":
            return
        has_file = task.action in PHASES and "progress_file" in task.args
        if has_file or (task.action in LONG and self._on_a_terminal()):
            self._active[host.get_name()] = ((PHASES | LONG)[task.action], time.monotonic())
            self._begin()
        if has_file:
            variables = self._play.get_variable_manager().get_vars(play=self._play, host=host, task=task)
            with suppress(AnsibleError):  # the task fails for the same reason, and says so
                self._files.append(_File(self._play, task, variables))

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

    def _on_a_terminal(self) -> bool:
        return self.get_option("show") == "auto" and sys.stdout.isatty()

    def _begin(self) -> None:
        if self._thread is None:
            self._files = []
            self._since = time.time() - CLOCKS_SECONDS
            self._stop.clear()
            self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
            self._thread.start()

    def _ended(self, host: str) -> None:
        self._active.pop(host, None)
        if not self._active:
            self._finish()

    def _finish(self) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def _show(self) -> None:
        """The thread. It writes under the display's lock only: Ansible forks under it, and prints under it."""
        shown: View | None = None
        # The stdout callback `console` has a line for what is done.
        keeps = C.DEFAULT_STDOUT_CALLBACK != "console" or self._display.verbosity > 0
        screen = self.get_option("show") == "auto"
        while True:
            is_last = self._stop.wait(progress.LOOK_SECONDS)
            found = [file.read() for file in list(self._files)]
            states = [state for state in found if state and state.tables and state.at >= self._since]
            working = self._working({state.database for state in states if not state.ended})
            with self._display._lock:
                if (states or working) and shown is None:
                    shown = view(sys.stdout, self.get_option("seconds"), screen=screen, keeps=keeps)
                if shown is not None:
                    shown.show(states, working)
                if is_last:
                    if shown is not None:
                        shown.close()
                    return

    def _working(self, reported: set[str]) -> list[Working]:
        """The steps that take long and have no figures."""
        now = time.monotonic()
        return [
            Working(phase, host, now - since)
            for host, (phase, since) in sorted(self._active.items())
            if host not in reported and now - since > SHORT_SECONDS
        ]


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
        """What it reports of the phase; None where it does not, or cannot be reached."""
        if self._connection.transport == "local":
            state = progress.read(Path(self._path))
        else:
            try:
                _, output, _ = self._connection.exec_command(f"cat {shlex.quote(self._path)}", sudoable=False)
            except AnsibleError:
                return None
            state = progress.parse(output)
        return state if state and state.phase == self._phase else None
