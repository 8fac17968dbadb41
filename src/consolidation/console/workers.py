"""The end of a playbook that Ansible would miss: a worker process was killed, or a Ctrl-C was lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from types import FrameType

SECONDS = 0.1
"""Between two looks: a worker that lives shorter is not seen."""
LOST_SECONDS = 1.0
"""A play that goes on for so long after Ctrl-C has not had it."""
LONG_AGO = float("-inf")
STOPPED = (-signal.SIGTERM, -signal.SIGINT)
"""How Ansible itself ends its workers."""


class Watch:
    """Interrupts this process where a worker was killed, and again where a Ctrl-C did not end the play.

    Strategy ``free`` would wait for a killed worker's result without end. Ansible's handler of Ctrl-C raises an
    exception where the main thread is, and Python ignores one in a ``__del__``, and in what libraries do around a fork,
    as there is one for every task: the play would go on, and the next Ctrl-C, for which that handler leaves the
    system's default, would end it without its last lines.
    """

    def __init__(self, say: Callable[[str], None], is_playing: Callable[[], bool]) -> None:
        self._say = say
        self._is_playing = is_playing
        self._ansibles_handler: Callable[[int, FrameType | None], object]
        self._interrupted_at: float | None = None
        self._is_forking = False
        self._workers: set[BaseProcess] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="workers", daemon=True)

    def start(self) -> None:
        """From now on. Of the main thread."""
        handler = signal.signal(signal.SIGINT, self._interrupt)
        self._ansibles_handler = handler if callable(handler) else signal.default_int_handler
        # Registered last, these are the first before a fork and the last behind it.
        os.register_at_fork(before=self._forks, after_in_parent=self._has_forked, after_in_child=self._has_forked)
        self._thread.start()

    def stop(self) -> None:
        """Workers may end as they like from now on."""
        self._over.set()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_forking:
            self._interrupted_at = LONG_AGO  # the thread interrupts again, behind the fork
            return
        self._interrupted_at = time.monotonic()
        try:
            self._ansibles_handler(number, frame)
        finally:
            signal.signal(signal.SIGINT, self._interrupt)

    def _forks(self) -> None:
        self._is_forking = True

    def _has_forked(self) -> None:
        self._is_forking = False

    def _look(self) -> None:
        while not self._over.wait(SECONDS):
            killed = self._killed()
            if self._interrupted_at is None and killed:
                how = ", ".join(f"{name} with {code}" for name, code in killed.items())
                self._say(f"A worker of Ansible ended without its result ({how}); out of memory? The run stops here.")
                os.kill(os.getpid(), signal.SIGINT)
            elif self._interrupted_at is not None and self._is_lost(self._interrupted_at):
                os.kill(os.getpid(), signal.SIGINT)

    def _is_lost(self, interrupted_at: float) -> bool:
        return time.monotonic() - interrupted_at > LOST_SECONDS and self._is_playing()

    def _killed(self) -> dict[str, int]:
        """Exit codes of the workers that ended since the last look, and neither well nor by Ansible; by name."""
        self._workers |= set(multiprocessing.active_children())
        codes = {worker: _exit_code(worker) for worker in self._workers}
        self._workers = {worker for worker, code in codes.items() if code is None}
        return {worker.name: code for worker, code in codes.items() if code and code not in STOPPED}


def _exit_code(worker: BaseProcess) -> int | None:
    """None: it lives. One that Ansible has put away had given its result."""
    try:
        return worker.exitcode
    except ValueError:
        return 0
