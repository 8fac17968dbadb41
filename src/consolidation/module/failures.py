"""What all thin modules share: errors become a clear failure, results become exit values."""

from __future__ import annotations

import os
import select
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from consolidation.errors import ConsolidationError

STDOUT = 1


class Module(Protocol):
    """The part of AnsibleModule that is used here; the core imports no Ansible."""

    def fail_json(self, msg: str, **facts: Any) -> NoReturn:
        """End the module with a failure."""


@contextmanager
def failures(module: Module) -> Iterator[None]:
    """Turn our errors into the module's failure: ``msg`` says what, where and what next.

    Ctrl-C ends the process at once, also inside libpq; the journal and PostgreSQL are left as by any other crash, and
    the next run takes up from there. So does the loss of the caller.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if stat.S_ISFIFO(mode := os.fstat(STDOUT).st_mode) or stat.S_ISSOCK(mode):
        threading.Thread(target=_end_without_caller, name="caller", daemon=True).start()
    try:
        yield
    except ConsolidationError as error:
        module.fail_json(msg=str(error), error=type(error).__name__, hint=error.hint, **error.facts)


def _end_without_caller() -> None:
    """Over SSH no one passes Ctrl-C on to us: but the pipe that our result would go into has no reader any more."""
    poll = select.poll()
    poll.register(STDOUT, 0)  # hang-up and error are always reported
    poll.poll()
    os.kill(os.getpid(), signal.SIGINT)
