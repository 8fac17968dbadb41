"""Measures of the house that may only become better."""

from __future__ import annotations

import re
from pathlib import Path

import consolidation

CORE = Path(consolidation.__file__).parent
ROOT = Path(__file__).parents[2]


def test_few_tasks_are_delegated() -> None:
    """What works on the control node is an action plugin; a host's tasks are one file, delegated once."""
    paths = [*ROOT.glob("*.yml"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]
    found = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("delegate_to:") for path in paths}
    assert sum(found.values()) < 8, {name: count for name, count in found.items() if count}


def test_phases_know_no_key_of_a_result() -> None:
    """They note the frozen dataclasses of journal/results.py."""
    keyed = re.compile(r"\bwork\.result(\[|\.(?!copy)\w+\()")
    found = [
        f"{path.relative_to(CORE)}: {line.strip()}"
        for path in CORE.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if keyed.search(line)
    ]
    assert not found, "\n".join(found)
