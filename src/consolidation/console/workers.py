"""Ansible's worker processes: one that was killed is noticed, whatever the strategy of the play."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.process import BaseProcess

SECONDS = 0.1
"""Between two looks: who lives shorter is not seen."""
STOPPED = (-signal.SIGTERM, -signal.SIGINT)
"""How Ansible itself ends its workers."""


class Watch:
    """Interrupts this process where a worker was killed: strategy ``free`` would wait for its result without end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="workers", daemon=True)

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def stop(self) -> None:
        """Workers may end as they like from now on."""
        self._over.set()

    def _look(self) -> None:
        workers: set[BaseProcess] = set()
        while not self._over.wait(SECONDS):
            workers |= set(multiprocessing.active_children())
            codes = {worker: _exit_code(worker) for worker in workers}
            workers = {worker for worker, code in codes.items() if code is None}
            if killed := {worker.name: code for worker, code in codes.items() if code and code not in STOPPED}:
                how = ", ".join(f"{name} with {code}" for name, code in killed.items())
                self._say(f"A worker of Ansible ended without its result ({how}); out of memory? The run stops here.")
                os.kill(os.getpid(), signal.SIGINT)
                return


def _exit_code(worker: BaseProcess) -> int | None:
    """None: it lives. One that Ansible has put away had given its result."""
    try:
        return worker.exitcode
    except ValueError:
        return 0
