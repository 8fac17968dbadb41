"""The action plugin ``normal``, which runs every module that has no action plugin of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.executor.module_common import _BuiltModule
from ansible.module_utils import _internal
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.loader import action_loader

from consolidation.module import fork

Normal: Any = action_loader.get("ansible.builtin.normal", class_only=True)
LIBRARY = Path(__file__).resolve().parents[2] / "library"
PROFILE = "legacy"


class ActionModule(Normal):
    """Runs a module of library/ in a fork of Ansible's worker where that is the same as Ansible's own way.

    That is: on the control node, or a host that it is as well, by its interpreter and user, and in the foreground.
    Ansible's own way packs an archive and starts an interpreter, which compiles what is in it: a third of a second,
    50 times a database in a migrate.

    Action plugins of our own that run such modules are made of it, too.
    """

    _forked: Path | None = None
    """The module, where it is run in a fork."""

    def _configure_module(self, module_name: str, module_args: Any, task_vars: Any) -> Any:
        module = LIBRARY / f"{module_name}.py"
        if not module.is_file() or not self._is_here(task_vars):
            return super()._configure_module(module_name, module_args, task_vars)
        self._forked = module
        encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=encoder).encode()
        return _BuiltModule(
            b_module_data=arguments, module_style="new", shebang=f"#!{sys.executable}", serialization_profile=PROFILE
        ), str(module)

    def _is_here(self, task_vars: dict[str, Any]) -> bool:
        host = self._task.delegate_to
        of_host = task_vars["ansible_delegated_vars"][host] if host else task_vars
        interpreter = self._templar.template(of_host.get("ansible_python_interpreter", ""))
        return (
            self._connection.transport == "local"
            and self._connection.become is None
            and not self._task.async_val
            and self._is_pipelining_enabled("new")
            and _is_ours(interpreter)
        )

    def _low_level_execute_command(self, cmd: str, *others: Any, in_data: Any = None, **more: Any) -> dict[str, Any]:
        if self._forked is None or in_data is None:
            return super()._low_level_execute_command(cmd, *others, in_data=in_data, **more)
        environment: dict[str, str] = {}
        self._compute_environment_string(environment)
        status, output, errors = fork.run(
            self._forked,
            in_data,
            directory=Path(self._loader.get_basedir()),
            environment=environment,
            prepare=_no_longer_the_controller,
        )
        return {"rc": status, "stdout": output.decode(errors="replace"), "stderr": errors.decode(errors="replace")}


def _is_ours(interpreter: str) -> bool:
    """Virtual environments have several names for one interpreter, and share the program that it is a link to."""
    ours, other = Path(sys.executable), Path(interpreter)
    return ours.parent == other.parent and other.exists() and ours.samefile(other)


def _no_longer_the_controller() -> None:
    """Warnings of the module go into its result."""
    _internal.is_controller = False
