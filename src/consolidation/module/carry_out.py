"""The end of every module that changes something: the plan is carried out, or only shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, Protocol

from consolidation.borders import Json


class Module(Protocol):
    """The part of AnsibleModule that is used here; the core imports no Ansible."""

    @property
    def check_mode(self) -> bool:
        """Whether nothing may be changed."""

    def exit_json(self, **values: object) -> NoReturn:
        """End the module."""


class Plan(Protocol):
    """What a phase would change."""

    @property
    def changed(self) -> bool:
        """Whether anything."""

    def diff(self) -> dict[str, str]:
        """The same, to be shown."""


def carry_out(
    module: Module, plan: Plan, apply: Callable[[], Json], *, checked: Json | None = None, **planned: object
) -> NoReturn:
    """Apply the plan and exit with what came of it; in check mode with ``checked``.

    Both exit with what the plan changes, and with ``planned``.
    """
    result = (checked or {}) if module.check_mode else apply()
    module.exit_json(changed=plan.changed, diff=plan.diff(), **planned, **result)
