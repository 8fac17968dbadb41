"""Write docs/states.md: what each phase does in each state of a run, from the table that decides it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from consolidation.journal.results import Phase
from consolidation.journal.state import MOVED, TABLE, After, Decision, Go, Refuse, Skip, Standing

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "states.md"
MARKS = {Go: "goes ahead", Skip: "nothing to do", After: "after the steps before it", Refuse: "refused"}
INTRODUCTION = """# States of a run

What each phase does in each state of a database's run. The journal in the storage database holds the state, so every
command may be interrupted and given again. This page is printed from the table that decides it (`make docs`).

"""
COPIED = "## Databases that are copied\n\n"
MOVED_IN_PLACE = "## Databases whose tables are moved in place\n\nWhat differs:\n\n"
REASONS = "## What it says\n\n"


def text() -> str:
    """The page."""
    return (
        INTRODUCTION
        + COPIED
        + _table(TABLE)
        + "\n"
        + MOVED_IN_PLACE
        + _table(MOVED)
        + "\n"
        + REASONS
        + "".join(_reasons())
    )


def _table(decisions: dict[Phase, dict[Standing, Decision]]) -> str:
    rows = [("Phase", *Standing), tuple("---" for _ in range(len(Standing) + 1))]
    for phase, row in decisions.items():
        rows.append((f"`{phase}`", *(MARKS[type(row[standing])] for standing in Standing)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _reasons() -> Iterator[str]:
    """Every reason with the phases and states that it is given for."""
    given: dict[Decision, list[str]] = {}
    for decisions in (TABLE, MOVED):
        for phase, row in decisions.items():
            for decision in row.values():
                names = given.setdefault(decision, [])
                names += [] if f"`{phase}`" in names else [f"`{phase}`"]
    for decision, phases in given.items():
        if isinstance(decision, Skip):
            yield f"- {', '.join(phases)}, nothing to do: {_named(decision.reason)}\n"
        elif isinstance(decision, (After, Refuse)):
            yield f"- {', '.join(phases)}, {MARKS[type(decision)]}: {_named(decision.message)}. Next: {decision.hint}\n"


def _named(message: str) -> str:
    return message.replace("{run}", "RUN").replace("{database}", "DATABASE")


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
