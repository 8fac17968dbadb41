"""What all modules share."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import NoReturn

import pytest

from consolidation.module.carry_out import carry_out

DRIVER = """
import time
from consolidation.module.failures import failures
with failures(None):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_module_whose_caller_is_gone_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdout.close()
        assert process.wait(10) == -signal.SIGINT


@dataclass(frozen=True)
class Planned:
    changed: bool

    def diff(self) -> dict[str, str]:
        return {"prepared": "a line\n"}


class Ending:
    """Stands in for AnsibleModule, whose exit ends the process."""

    def __init__(self, *, check_mode: bool) -> None:
        self.check_mode = check_mode

    def exit_json(self, **values: object) -> NoReturn:
        raise SystemExit(str(sorted(values.items())))


@pytest.mark.parametrize("changed", [True, False])
def test_a_plan_says_the_same_changes_in_check_mode_which_applies_nothing(changed: bool) -> None:
    applied: list[int] = []

    def apply() -> dict[str, object]:
        applied.append(1)
        return {"found": 2}

    always = [("changed", changed), ("diff", {"prepared": "a line\n"})]
    with pytest.raises(SystemExit) as end:
        carry_out(Ending(check_mode=True), Planned(changed), apply, checked={"msg": "would"}, sentence="type this")
    assert end.value.code == str([*always, ("msg", "would"), ("sentence", "type this")])
    assert not applied
    with pytest.raises(SystemExit) as end:
        carry_out(Ending(check_mode=False), Planned(changed), apply, checked={"msg": "would"}, sentence="type this")
    assert end.value.code == str([*always, ("found", 2), ("sentence", "type this")])
    assert applied == [1]
