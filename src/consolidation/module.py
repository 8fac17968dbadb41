"""What every thin module does alike: errors become a clear failure, results become exit values."""

from __future__ import annotations

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
    """Turn our errors into the module's failure: ``msg`` says what, where and what next."""
    try:
        yield
    except ConsolidationError as error:
        module.fail_json(msg=str(error), error=type(error).__name__, hint=error.hint, **error.facts)
