"""Write docs/states.md from the decision table, and the pictures of docs/architecture.md from the code.

The picture of a run's states is drawn by taking every step that the decision table allows, from no run on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from consolidation.journal.decisions import FOLLOWED, MOVED, TABLE, After, Decision, Go, Refuse, Skip, Standing
from consolidation.journal.records import MIGRATED, MIGRATING, ROLLED_BACK, ROLLING_BACK, PhaseRecord, Run
from consolidation.journal.results import Phase
from consolidation.journal.state import RunState
from consolidation.model import SOURCE
from consolidation.modes.copy import COPY
from consolidation.modes.strategy import Strategy
from tests.unit.test_floors import FLOORS
from tools import role_docs

ROOT = Path(__file__).resolve().parent.parent
STATES, ARCHITECTURE = ROOT / "docs" / "states.md", ROOT / "docs" / "architecture.md"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
APART = {
    Phase.REPAIR: "playbooks/repair.yml",
    Phase.ROLLBACK_CANCEL: "playbooks/cancel_rollback.yml",
    Phase.FINALIZE_ARCHIVE: "finalize.yml",
    Phase.FINALIZE: "finalize.yml",
    Phase.FINALIZE_DROP: "finalize.yml",
    Phase.RESOLVE: "playbooks/resolve.yml",
    Phase.FOLLOW_BACK: "playbooks/follow.yml",
}
EITHER = {Phase.RESOLVE, Phase.FOLLOW_BACK}
"""Phases that begin in a run of either direction."""
RESULTS = {Phase.RECONCILE: {"to": SOURCE}}


def command(phase: Phase) -> str:
    """The playbook that a phase belongs to."""
    return APART.get(phase, "rollback.yml" if phase.of_rollback else "migrate.yml")


@dataclass
class Words:
    """The messages of a page, numbered as they appear."""

    known: list[str]

    def cell(self, decision: Decision) -> str:
        """What a table shows for one decision."""
        match decision:
            case Go():
                return "goes ahead"
            case Skip(reason):
                return f"nothing to do ({self._number(reason)})"
            case After(message, hint):
                return f"only after ({self._number(f'{message}. Next: {hint}')})"
            case Refuse(message, hint):
                return f"**refuses** ({self._number(f'{message}. Next: {hint}')})"

    def _number(self, words: str) -> int:
        if words not in self.known:
            self.known.append(words)
        return self.known.index(words) + 1

    def listed(self) -> str:
        """The messages by number."""
        named = (re.sub(r"\{(\w+)\}", r"<\1>", words) for words in self.known)
        return "".join(f"{number}. {words}\n" for number, words in enumerate(named, 1))


def tables() -> str:
    """The decision table: one for each command, a row for each phase, a column for each state of the run."""
    words, parts = Words([]), []
    for name in dict.fromkeys(("migrate.yml", "rollback.yml", *APART.values())):
        rows = {phase: row for phase, row in TABLE.items() if command(phase) == name}
        parts.append(f"### {name}\n\n{_table(rows, words)}")
    parts.append(f"### Where the source is followed (`mode: online`)\n\n{_table(FOLLOWED, words)}")
    parts.append(f"### Where the tables are moved, not copied (`mode: move`)\n\n{_table(MOVED, words)}")
    parts.append(f"### The words\n\n{words.listed()}")
    return "\n".join(parts)


def _table(rows: dict[Phase, dict[Standing, Decision]], words: Words) -> str:
    lines = [(f"`{phase}`", *(words.cell(row[standing]) for standing in Standing)) for phase, row in rows.items()]
    return role_docs.table(("Phase", *Standing), lines)


@dataclass(frozen=True)
class Spot:
    """As much of a run as its state is told by: the journal's word for it, and the phases that are done."""

    run: str | None = None
    done: frozenset[Phase] = frozenset()

    def state(self, strategy: Strategy = COPY) -> RunState:
        """The run, as the journal would have it."""
        if self.run is None:
            return RunState("campaign_db", strategy=strategy)
        run = Run("20260101T000000Z", "campaign_db", self.run, "dba@control", {}, MOMENT)
        records = {
            phase: PhaseRecord(phase, "done", 1, MOMENT, MOMENT, RESULTS.get(phase, {}), None) for phase in self.done
        }
        return RunState("campaign_db", run, records, strategy)

    def steps(self) -> Iterator[tuple[str, Spot]]:
        """What the commands make of it, by the decision table; see ``journal.runs`` for a run's begin and end."""
        if self.run in (None, ROLLED_BACK):
            yield "migrate.yml", Spot(MIGRATING)
        if self.run == MIGRATING:
            yield from self._done("copy", Phase.COPY)
        if self.run == MIGRATING and Phase.COPY in self.done:
            yield from self._done("cutover: target opened", Phase.CUTOVER)
        if self.run == MIGRATING and Phase.CUTOVER in self.done:
            yield "cutover: services proven", replace(self, run=MIGRATED)
        if self.run == MIGRATED:
            yield from self._done("finalize.yml", Phase.FINALIZE)
        if self.run in (MIGRATING, MIGRATED) and Phase.FINALIZE not in self.done:
            yield "rollback.yml", replace(self, run=ROLLING_BACK)
        if self.run == ROLLING_BACK:
            if Phase.COPY in self.done:
                yield from self._done("source restored from its dump", Phase.ROLLBACK_RESTORE)
            yield from self._done("writes brought back", Phase.RECONCILE)
            if self._goes(Phase.ROLLBACK_OPEN):
                yield "source opened", replace(self, run=ROLLED_BACK)
            if self._goes(Phase.ROLLBACK_CANCEL) and Phase.CUTOVER in self.done:  # as rollback.cancel requires
                for after in (MIGRATED, MIGRATING):
                    yield "cancel_rollback.yml", Spot(after, self.done - {Phase.RECONCILE})

    def _done(self, words: str, phase: Phase) -> Iterator[tuple[str, Spot]]:
        if self._goes(phase) and phase not in self.done:
            yield words, replace(self, done=self.done | {phase})

    def _goes(self, phase: Phase) -> bool:
        return isinstance(self.state().decide(phase), Go)


def spots() -> set[Spot]:
    """Every spot that a run can come to, from no run on."""
    found: set[Spot] = set()
    waiting = [Spot()]
    while waiting:
        spot = waiting.pop()
        if spot not in found:
            found.add(spot)
            waiting += [after for _, after in spot.steps()]
    return found


def picture_of_states() -> str:
    """The states of a run and the steps between them, as a Mermaid diagram."""
    edges: dict[tuple[Standing, Standing], set[str]] = {}
    for spot in spots():
        for words, after in spot.steps():
            between = (spot.state().standing, after.state().standing)
            if between[0] != between[1]:
                edges.setdefault(between, set()).add(words)
    order = list(Standing)
    lines = [f"    {state.name}: {state} ({authoritative(state)})" for state in order]
    lines += [
        f"    {start.name} --> {end.name}: {' / '.join(sorted(edges[start, end]))}"
        for start, end in sorted(edges, key=lambda pair: [order.index(state) for state in pair])
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {order[0].name}", *lines, "```\n"])


def authoritative(standing: Standing) -> str:
    """The side that is authoritative in a state."""
    sides = {spot.state().authoritative for spot in spots() if spot.state().standing == standing}
    if standing == Standing.ROLLED_BACK:  # the run's phases stay as they were
        sides = {SOURCE}
    assert len(sides) == 1, (standing, sides)  # noqa: S101 - else the state does not say what it must
    return sides.pop()


def picture_of_floors() -> str:
    """The packages of the core, each floor above those that it imports."""
    lines = [f"{number:>3}  {'  '.join(sorted(rooms))}\n" for number, rooms in enumerate(FLOORS, 1)]
    return f"```text\n{''.join(reversed(lines))}```\n"


def documents() -> dict[Path, str]:
    """Both pages, as they should be."""
    states, architecture = (page.read_text(encoding="utf-8") for page in (STATES, ARCHITECTURE))
    for name, content in (("floors", picture_of_floors()), ("states", picture_of_states())):
        architecture = role_docs.replaced(architecture, name, content)
    return {STATES: role_docs.replaced(states, "decisions", tables()), ARCHITECTURE: architecture}


if __name__ == "__main__":
    for page, text in documents().items():
        page.write_text(text, encoding="utf-8")
