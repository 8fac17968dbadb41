"""Measures of the house that may only become better."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import consolidation

CORE = Path(consolidation.__file__).parent
ROOT = Path(__file__).parents[2]


def test_few_tasks_are_delegated() -> None:
    """What works on the control node is an action plugin; a host's tasks are one file, delegated once."""
    paths = [*ROOT.glob("*.yml"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]
    found = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("delegate_to:") for path in paths}
    assert sum(found.values()) < 8, {name: count for name, count in found.items() if count}


MODE = r"(Mode\.\w+|(COPY|MOVE|ONLINE|WINDOW)\b|['\"](copy|move|online|window)['\"])"
MODE_ASKED = re.compile(rf"(==|!=|\bis|\bis not|\bin) [(\[]?{MODE}|\bmode\.(?!name\b)\w+")


def test_a_phase_asks_its_strategy_not_the_mode() -> None:
    """A mode is one file of modes/ and its line in modes/choice.py: no one else compares its name."""
    suffixes = {".py", ".yml", ".j2"}
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for pattern in ("*.yml", "src/**/*", "library/*", "plugins/**/*", "roles/**/*", "playbooks/*")
        for path in sorted(ROOT.glob(pattern))
        if path.suffix in suffixes and CORE / "modes" not in path.parents
        for line in path.read_text(encoding="utf-8").splitlines()
        if MODE_ASKED.search(line)
    ]
    assert not found, "\n".join(found)


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


def test_the_moments_of_a_result_come_from_one_clock() -> None:
    """The target server's, by Work.now: a runner's may be minutes off, and an outage is the gap of two moments."""
    texts = {str(path.relative_to(CORE)): path.read_text(encoding="utf-8") for path in CORE.rglob("*.py")}
    noted = {name for name, text in texts.items() if "work.note(" in text}
    assert len(noted) > 5
    assert not {name for name in noted if "datetime.now(" in texts[name] or "time.time()" in texts[name]}


@pytest.mark.parametrize("role", sorted((ROOT / "roles").iterdir()), ids=lambda role: role.name)
def test_a_role_requires_what_it_uses_and_nothing_else(role: Path) -> None:
    used = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("tasks", "vars", "templates", "defaults")
        for path in (role / folder).glob("*")
    )
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    named = {option for spec in specs.values() for option in spec.get("options", {})}
    assert not {option for option in named if not re.search(rf"\b{option}\b", used)}
    # What another role has registered is an option like any other.
    assert role.name == "journal" or "journal_run" in named or "journal_run" not in used
