"""What each phase is to do in every state of a run: one table, which ``docs/states.md`` prints.

Go: the phase goes ahead. Skip: there is nothing to do. After: an earlier phase of the same command comes first. Refuse:
it must not begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from consolidation.journal.results import Phase
from consolidation.modes.strategy import Strategy


class Standing(StrEnum):
    """Where a run stands, as far as it decides what a phase may do."""

    NO_RUN = "no run"
    MIGRATING = "migrating"
    """The source is authoritative."""
    OPENED = "migrating, target opened"
    """The cutover has begun: the target is authoritative, services may be writing there."""
    MIGRATED = "migrated"
    FINALIZED = "finalized"
    """Migrated, and the source was retired or is about to be: no rollback any more."""
    ROLLING_BACK = "rolling back"
    """The source is authoritative."""
    BRINGING_BACK = "rolling back, target authoritative"
    """The target holds rows that the source may not have."""
    RECONCILED = "rolling back, source reconciled"
    """The source has every row again."""
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class Go:
    """The phase goes ahead."""

    why: str = ""


@dataclass(frozen=True)
class Skip:
    """There is nothing to do."""

    reason: str


@dataclass(frozen=True)
class After:
    """An earlier phase of the same command comes first: planned it goes ahead, begun without it it is refused."""

    message: str
    hint: str


@dataclass(frozen=True)
class Refuse:
    """The phase must not begin."""

    message: str
    hint: str


Decision = Go | Skip | After | Refuse

GO = Go()
OPEN_TARGET = Skip("run {run} has cut {database} over: the target is authoritative and open to its roles")
MIGRATED_ALREADY = Skip("run {run} has migrated {database} already")
FINALIZED_ALREADY = Skip("run {run} has migrated {database} and is finalized: its source is retired")
RETIRED = Refuse(
    "run {run} is finalized: the source is retired, there is nothing to roll back to",
    "the storage database stays authoritative; the source's last dump is in the backup directory, see the run's report",
)
NOT_MIGRATED = Refuse(
    "no run has migrated it, its source is still needed",
    "finish ansible-playbook migrate.yml first, and use the storage database for some days",
)
ARCHIVED = Skip("run {run} has archived the source of {database}")
RETIRE_FIRST = After(
    "run {run} is not finalized: rollback needs the source", "retire it first: ansible-playbook finalize.yml says how"
)
BACK_FIRST = Refuse("run {run} is being rolled back", "finish it with ansible-playbook rollback.yml first")
NOTHING_BEGUN = Refuse("the journal knows no run", "nothing to roll back; ansible-playbook migrate.yml begins one")
ROLLED_BACK_ALREADY = Skip("run {run} was rolled back: the source is authoritative")
NEVER_OPENED = Skip("run {run} has not opened the target: there is no write to bring back")
NEVER_LEFT = Skip("run {run} has not opened the target: the services have not left the source")
ALL_BACK = Skip("the source has every row again")
KEPT = Skip("the target holds rows that the source may not have: they are kept until they are on the source")
NOT_BROUGHT_BACK = After(
    "run {run} has opened the target, and its writes are not on the source yet",
    "run ansible-playbook rollback.yml: it brings them back, then opens the source",
)
TOO_LATE = Refuse(
    "run {run} has opened the target: it is authoritative and must not be overwritten",
    "a repair belongs before the cutover; rollback.yml makes the source authoritative again",
)
FOLLOWED_ON = Refuse(
    "in mode online there is nothing to repair by hand", "run ansible-playbook migrate.yml: it brings over what differs"
)
NOT_BEGUN = Refuse("there is no copy to repair", "run ansible-playbook migrate.yml: it copies and verifies")
NOT_CUT_OFF = Skip("no change-over was cut off: whoever is closed stays closed")
CLOSED_FOR_THE_COPY = Skip("only mode online follows the source: here it is closed before the copy")
NOT_OPENED_YET = After(
    "the target was not opened yet, there is nothing to prove", "run ansible-playbook migrate.yml: it comes to it"
)
VERIFIED_CLOSED = Skip("its source was verified behind the closed fence, which is the proof in mode window")
NO_ROLLBACK = Skip("there is no rollback to cancel")
NOT_OPENED = Refuse(
    "run {run} has not opened the target", "finish the rollback with ansible-playbook rollback.yml: it opens the source"
)
TOO_LATE_BACK = Refuse(
    "run {run} was rolled back: the source takes writes", "ansible-playbook migrate.yml begins a new run"
)


def _row(*decisions: Decision) -> dict[Standing, Decision]:
    return dict(zip(Standing, decisions, strict=True))


_NOT_NOW = (BACK_FIRST, BACK_FIRST, BACK_FIRST)
_NOT_BACK = (NO_ROLLBACK, NO_ROLLBACK, NO_ROLLBACK, NO_ROLLBACK, NO_ROLLBACK)
_ON = (GO, GO, GO)


def _nothing(reason: Skip) -> dict[Standing, Decision]:
    """A phase of migrate.yml that has nothing to do in any state in which that may begin."""
    return _row(reason, reason, reason, reason, reason, *_NOT_NOW, reason)


NO_COPY = Refuse("its tables are moved, there is no copy to repair", "run ansible-playbook migrate.yml")
TABLE: dict[Phase, dict[Standing, Decision]] = {
    # Where there is no run, or the last one was rolled back, migrate.yml begins one: its phases go ahead.
    Phase.BACKUP: _row(GO, GO, GO, GO, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.SCHEMA: _row(GO, GO, GO, GO, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.SCHEMA_FENCE: _row(GO, GO, OPEN_TARGET, OPEN_TARGET, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.FENCE_REOPEN: _nothing(NOT_CUT_OFF),
    Phase.FENCE_PREPARE: _row(GO, GO, OPEN_TARGET, MIGRATED_ALREADY, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.FENCE: _row(GO, GO, OPEN_TARGET, MIGRATED_ALREADY, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.CAPTURE: _nothing(CLOSED_FOR_THE_COPY),
    Phase.COPY: _row(GO, GO, OPEN_TARGET, MIGRATED_ALREADY, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.FOLLOW: _nothing(CLOSED_FOR_THE_COPY),
    Phase.VERIFY: _row(GO, GO, OPEN_TARGET, MIGRATED_ALREADY, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.REPAIR: _row(NOT_BEGUN, GO, TOO_LATE, TOO_LATE, TOO_LATE, *_NOT_NOW, NOT_BEGUN),
    Phase.CUTOVER: _row(GO, GO, GO, MIGRATED_ALREADY, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.CUTOVER_SERVICES: _row(GO, GO, GO, MIGRATED_ALREADY, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.PROOF: _nothing(VERIFIED_CLOSED),
    Phase.FOLLOW_BACK: _row(
        NOTHING_BEGUN, NEVER_OPENED, GO, GO, RETIRED, NEVER_OPENED, GO, ALL_BACK, ROLLED_BACK_ALREADY
    ),
    # A run that is not being rolled back yet: rollback.yml begins with that (with --check it only says what follows).
    Phase.ROLLBACK_FENCE: _row(NOTHING_BEGUN, GO, GO, GO, RETIRED, *_ON, ROLLED_BACK_ALREADY),
    Phase.ROLLBACK_RESTORE: _row(NOTHING_BEGUN, GO, GO, GO, RETIRED, *_ON, ROLLED_BACK_ALREADY),
    Phase.RECONCILE: _row(NOTHING_BEGUN, NEVER_OPENED, GO, GO, RETIRED, NEVER_OPENED, GO, GO, ROLLED_BACK_ALREADY),
    Phase.ROLLBACK_COPY: _row(NOTHING_BEGUN, GO, KEPT, KEPT, RETIRED, GO, KEPT, KEPT, ROLLED_BACK_ALREADY),
    Phase.ROLLBACK_OPEN: _row(
        NOTHING_BEGUN, GO, NOT_BROUGHT_BACK, NOT_BROUGHT_BACK, RETIRED, GO, NOT_BROUGHT_BACK, GO, ROLLED_BACK_ALREADY
    ),
    Phase.ROLLBACK_SERVICES: _row(
        NOTHING_BEGUN,
        NEVER_LEFT,
        NOT_BROUGHT_BACK,
        NOT_BROUGHT_BACK,
        RETIRED,
        NEVER_LEFT,
        NOT_BROUGHT_BACK,
        GO,
        ROLLED_BACK_ALREADY,
    ),
    Phase.ROLLBACK_CAPTURE: _row(
        NOTHING_BEGUN, GO, NOT_BROUGHT_BACK, NOT_BROUGHT_BACK, RETIRED, GO, NOT_BROUGHT_BACK, GO, ROLLED_BACK_ALREADY
    ),
    Phase.ROLLBACK_CANCEL: _row(*_NOT_BACK, NOT_OPENED, GO, GO, TOO_LATE_BACK),
    Phase.FINALIZE_ARCHIVE: _row(NOT_MIGRATED, NOT_MIGRATED, NOT_MIGRATED, GO, ARCHIVED, *_NOT_NOW, NOT_MIGRATED),
    Phase.FINALIZE: _row(NOT_MIGRATED, NOT_MIGRATED, NOT_MIGRATED, GO, GO, *_NOT_NOW, NOT_MIGRATED),
    Phase.FINALIZE_DROP: _row(NOT_MIGRATED, NOT_MIGRATED, NOT_MIGRATED, RETIRE_FIRST, GO, *_NOT_NOW, NOT_MIGRATED),
    # Whatever the run says is what does not fit any more.
    Phase.RESOLVE: _row(GO, GO, GO, GO, RETIRED, *_ON, GO),
}
"""Phase x standing. ``{run}`` and ``{database}`` are filled in."""
ONE_COPY = Refuse(
    "its tables are moved within the storage database: there are no two sides to choose from",
    "finish the rollback with ansible-playbook rollback.yml",
)
NO_SECOND_COPY = Skip("its tables are moved within the storage database: there is no second copy to reconcile")
MOVED: dict[Phase, dict[Standing, Decision]] = {
    Phase.REPAIR: dict.fromkeys(Standing, NO_COPY),
    Phase.RECONCILE: dict.fromkeys(Standing, NO_SECOND_COPY),
    Phase.ROLLBACK_COPY: _row(NOTHING_BEGUN, GO, GO, GO, RETIRED, *_ON, ROLLED_BACK_ALREADY),
    Phase.PROOF: dict.fromkeys(Standing, NO_SECOND_COPY),
    Phase.FOLLOW_BACK: dict.fromkeys(Standing, NO_SECOND_COPY),
    Phase.ROLLBACK_CAPTURE: dict.fromkeys(Standing, NO_SECOND_COPY),
    Phase.ROLLBACK_CANCEL: _row(*_NOT_BACK, ONE_COPY, ONE_COPY, ONE_COPY, TOO_LATE_BACK),
}
"""What differs where there is one copy of the rows."""
FOLLOWED: dict[Phase, dict[Standing, Decision]] = {
    Phase.FENCE_REOPEN: _nothing(NOT_CUT_OFF) | {Standing.MIGRATING: GO},
    Phase.CAPTURE: _row(GO, GO, OPEN_TARGET, MIGRATED_ALREADY, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.FOLLOW: _row(GO, GO, OPEN_TARGET, MIGRATED_ALREADY, FINALIZED_ALREADY, *_NOT_NOW, GO),
    Phase.PROOF: _row(NOT_OPENED_YET, NOT_OPENED_YET, GO, GO, FINALIZED_ALREADY, *_NOT_NOW, NOT_OPENED_YET),
    Phase.REPAIR: _row(NOT_BEGUN, FOLLOWED_ON, TOO_LATE, TOO_LATE, TOO_LATE, *_NOT_NOW, NOT_BEGUN),
}
"""What differs where the source is written until the cutover."""


@cache
def table(strategy: Strategy) -> dict[Phase, dict[Standing, Decision]]:
    """Phase x standing, for the databases of a mode."""
    return TABLE | ({} if strategy.two_copies else MOVED) | (FOLLOWED if strategy.follows else {})
