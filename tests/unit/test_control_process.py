"""Which ansible-playbook a run belongs to: the process, not its number, and not by a clock that may be set."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

PLUGIN = Path(__file__).parents[2] / "plugins" / "lookup" / "control_process.py"


@pytest.fixture
def look_up() -> Callable[..., dict[str, Any]]:
    """The plugin, as Ansible calls it."""
    spec = importlib.util.spec_from_file_location("control_process", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *terms: module.LookupModule().run(list(terms))[0]


def test_a_process_is_the_same_whatever_the_clock_says(
    look_up: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = look_up(os.getpid())
    # What psutil makes of the clock and the ticks.
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 0.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: 0.0)
    assert look_up(os.getpid()) == before
    assert before["pid"] == os.getpid()


def test_another_process_is_another_one_and_a_dead_one_none(look_up: Callable[..., dict[str, Any]]) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = look_up(other.pid)
        assert theirs["started"] != look_up(os.getpid())["started"]
        other.communicate()
    assert look_up(other.pid) == {}
