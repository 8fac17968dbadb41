"""The decision table, row by row: what each phase does in every state that a run can come to."""

from __future__ import annotations

import re

import pytest

from consolidation.errors import StepRefused
from consolidation.journal.decisions import MOVED, TABLE, After, Go, Refuse, Skip, Standing, table
from consolidation.journal.results import Phase
from consolidation.model import TARGET
from consolidation.modes.choice import MODES
from consolidation.modes.copy import COPY
from consolidation.modes.move import MOVE
from consolidation.modes.strategy import Strategy
from tools import state_docs
from tools.state_docs import Spot, spots

SPOTS = sorted(spots(), key=lambda spot: (spot.run or "", sorted(spot.done)))
EVERYWHERE = [(spot.state(mode), mode) for spot in SPOTS for mode in MODES]
ROLLING_BACK = {Standing.ROLLING_BACK, Standing.BRINGING_BACK, Standing.RECONCILED}
UNDER_WAY = {Standing.MIGRATING, Standing.OPENED, Standing.MIGRATED, Standing.FINALIZED}


def goes(phase: Phase, mode: Strategy = COPY) -> set[Standing]:
    """Where the phase goes ahead."""
    return {standing for standing, decision in table(mode)[phase].items() if isinstance(decision, Go)}


def test_every_phase_has_a_decision_in_every_state() -> None:
    assert set(TABLE) == set(Phase)
    for row in (*TABLE.values(), *MOVED.values()):
        assert set(row) == set(Standing)
    assert {spot.state().standing for spot in SPOTS} == set(Standing)


@pytest.mark.parametrize("phase", Phase)
def test_the_words_are_filled_in_and_a_refusal_says_what_to_do_next(phase: Phase) -> None:
    for state, _ in EVERYWHERE:
        match state.decide(phase):
            case Go():
                continue
            case Skip(message):
                pass
            case After(message, hint) | Refuse(message, hint):
                assert hint
                assert not re.search(r"[{}]", hint)
        assert message.startswith("campaign_db: ")
        assert not re.search(r"[{}]|  |run :", message), f"{phase}, {state.standing}: {message}"


@pytest.mark.parametrize("phase", Phase)
def test_a_phase_begins_only_where_its_plan_would_go_ahead(phase: Phase) -> None:
    for state, _ in EVERYWHERE:
        # The command begins its run, or its rollback, before its first phase.
        begun = state.standing in (ROLLING_BACK if phase.of_rollback else UNDER_WAY) or (
            phase in state_docs.EITHER and state.standing in ROLLING_BACK | UNDER_WAY
        )
        if isinstance(state.decide(phase), Go) and begun:
            assert state.require(phase) is state.run
        else:
            with pytest.raises(StepRefused) as refused:
                state.require(phase)
            assert refused.value.hint


@pytest.mark.parametrize("phase", Phase)
def test_the_reason_to_skip_is_that_of_the_decision(phase: Phase) -> None:
    for state, _ in EVERYWHERE:
        match state.decide(phase):
            case Refuse(message, hint):
                with pytest.raises(StepRefused) as refused:
                    state.skip_reason(phase)
                assert (refused.value.message, refused.value.hint) == (message, hint)
            case Skip(reason):
                assert state.skip_reason(phase) == reason
            case _:
                assert state.skip_reason(phase) == ""


@pytest.mark.parametrize(
    "phase", [phase for phase in Phase if not phase.of_rollback and phase not in state_docs.EITHER]
)
def test_no_phase_of_migrate_goes_ahead_in_a_rollback(phase: Phase) -> None:
    assert not goes(phase) & ROLLING_BACK


def test_the_authoritative_side_is_never_overwritten() -> None:
    target_has_more = {standing for standing in Standing if state_docs.authoritative(standing) == TARGET}
    assert target_has_more == set(Standing) - {
        Standing.NO_RUN,
        Standing.MIGRATING,
        Standing.ROLLING_BACK,
        Standing.ROLLED_BACK,
    }
    for phase in (Phase.COPY, Phase.REPAIR, Phase.ROLLBACK_COPY):  # they overwrite, or empty, the target
        assert not goes(phase) & target_has_more, phase
    assert goes(Phase.RECONCILE) <= target_has_more  # it overwrites the source


def test_a_side_is_opened_only_where_it_has_every_row() -> None:
    assert goes(Phase.ROLLBACK_OPEN) == {Standing.MIGRATING, Standing.ROLLING_BACK, Standing.RECONCILED}
    assert goes(Phase.ROLLBACK_CANCEL) == {Standing.BRINGING_BACK, Standing.RECONCILED}
    assert not goes(Phase.ROLLBACK_CANCEL, MOVE)


def test_every_state_can_be_rolled_back_but_the_finalized_one() -> None:
    for spot in SPOTS:
        if spot.state().standing == Standing.FINALIZED:
            assert not [phase for phase in Phase if phase.of_rollback and isinstance(spot.state().decide(phase), Go)]
            continue
        reached: set[Spot] = set()
        waiting = [spot]
        while waiting:
            here = waiting.pop()
            if here not in reached:
                reached.add(here)
                waiting += [after for words, after in here.steps() if words != "migrate.yml" or spot == Spot()]
        assert Standing.ROLLED_BACK in {here.state().standing for here in reached}, spot


@pytest.mark.parametrize("page", [state_docs.STATES, state_docs.ARCHITECTURE], ids=lambda page: page.name)
def test_the_page_is_up_to_date(page) -> None:
    assert page.read_text(encoding="utf-8") == state_docs.documents()[page], "run `make docs`"


def test_the_page_agrees_with_the_table_on_what_a_command_does() -> None:
    text = state_docs.STATES.read_text(encoding="utf-8").split("| --- | --- | --- | --- |\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert [row[0] for row in rows] == list(Standing)
    for name, side, *commands in rows:
        assert side == state_docs.authoritative(Standing(name))
        for playbook, words in zip(("migrate.yml", "rollback.yml"), commands, strict=True):
            decisions = {
                type(row[Standing(name)]) for phase, row in TABLE.items() if state_docs.command(phase) == playbook
            }
            assert (decisions == {Refuse}) == (words == "refuses"), f"{playbook}, {name}"
