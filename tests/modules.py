"""Modules called as Ansible calls them, in this process."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from consolidation.model import Database
from consolidation.module import arguments
from tests.callback.returns import LIBRARY, documented, faults


def run_module(capsys: pytest.CaptureFixture[str], name: str, check: bool, given: dict[str, Any]) -> dict[str, Any]:
    """What the module `name` prints: its result, or its failure."""
    module = importlib.import_module(name)
    with patch_module_args({**given, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert not (found := faults(documented(LIBRARY / f"{name}.py"), result)), found
    return result


def option(database: Database) -> dict[str, Any]:
    """The `database` option of a module that works on this database."""
    names = arguments.database()["database"]["options"]
    return {name: value for name, value in asdict(database).items() if name in names}
