"""What every thin module does alike: errors become a clear failure, results become exit values."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from consolidation.errors import ConsolidationError


class Module(Protocol):
    """The part of AnsibleModule that is used here; the core imports no Ansible."""

    def fail_json(self, msg: str, **facts: Any) -> NoReturn:
        """End the module with a failure."""


@contextmanager
def failures(module: Module) -> Iterator[None]:
    """Turn our errors into the module's failure: ``msg`` says what, where and what next.

    Ctrl-C ends the process at once, also inside libpq; the journal and PostgreSQL are left as by any other crash, and
    the next run takes up from there.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    except ConsolidationError as error:
        module.fail_json(msg=str(error), error=type(error).__name__, hint=error.hint, **error.facts)
