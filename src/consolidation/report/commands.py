"""The commands that an operator gives next. Each reaches exactly the databases that it is about."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from consolidation.report.outcome import FAILED, INTERRUPTED, MIGRATED, ROLLED_BACK, RUNNING, UNFINISHED, Outcome

BEFORE_CUTOVER = (
    "It opens the source again. Nothing has to be brought back: the storage database has taken no write of a service."
)
AFTER_CUTOVER = (
    "It brings the writes made in the storage database since the cutover back to the source and compares what it"
    " brought, closes the storage database's tables, brings the last ones, and opens the source."
)
ROLLING_BACK_TEXT = "The rollback is in progress, not complete. Run the same command again, it resumes."
RESUMES_TEXT = "Fix the cause, then run this: it resumes at the first unfinished step."
FINALIZES_TEXT = (
    "The source is being retired, there is no rollback. Fix the cause, then run this: it says how to go on."
)
UNTIL_CUTOVER = "at any time until the cutover; after it, the same command brings the new writes back first"
UNTIL_SOURCE_IS_TOUCHED = "until finalize.yml retires the source, as long as that is untouched behind its fence"
"""Only finalize.yml removes it, by a typed sentence."""
NO_BACKUP = "There is no rollback once the source is lost: this run has no backup of {}."


@dataclass(frozen=True)
class Command:
    """A command line for some databases of the run, and for no other."""

    databases: tuple[str, ...]
    text: str
    """What it does."""
    until: str
    """Until when it is available."""
    command: str


def limited(command: str, databases: Collection[str], inventory: Collection[str]) -> str:
    """The command line for these databases of the inventory alone."""
    if set(inventory) <= set(databases):
        return command
    return f"{command} --limit {shlex.quote(','.join(databases))}"


def next_steps(
    outcomes: Sequence[Outcome], commands: Mapping[str, str], inventory: Collection[str]
) -> tuple[Command, ...]:
    """What resumes an unfinished run; empty where all is done or under way."""
    stopped = [found for found in outcomes if found.kind in (FAILED, INTERRUPTED, UNFINISHED)]
    groups = (
        ("rollback", ROLLING_BACK_TEXT, [found.database for found in stopped if found.rolling_back]),
        ("migrate", RESUMES_TEXT, [each.database for each in stopped if not (each.rolling_back or each.finalizing)]),
        ("finalize", FINALIZES_TEXT, [found.database for found in stopped if found.finalizing]),
    )
    return tuple(
        Command(tuple(names), text, "", limited(commands[name], names, inventory))
        for name, text, names in groups
        if names
    )


def rollbacks(
    outcomes: Sequence[Outcome], commands: Mapping[str, str], inventory: Collection[str]
) -> tuple[Command, ...]:
    """How each database of the run can be rolled back, and until when; those in the same state share a command."""
    held = [each for each in outcomes if each.kind != ROLLED_BACK and not (each.rolling_back or each.finalizing)]
    groups = (
        (BEFORE_CUTOVER, UNTIL_CUTOVER, [found for found in held if not found.cut_over]),
        (AFTER_CUTOVER, UNTIL_SOURCE_IS_TOUCHED, [found for found in held if found.cut_over and not _done(found)]),
        (AFTER_CUTOVER, UNTIL_SOURCE_IS_TOUCHED, [found for found in held if _done(found)]),
    )
    return tuple(
        Command(names, text + _without_backup(group), until, limited(commands["rollback"], names, inventory))
        for text, until, names, group in (
            (text, until, tuple(found.database for found in group), group) for text, until, group in groups
        )
        if names
    )


def _without_backup(outcomes: Sequence[Outcome]) -> str:
    bare = [found.database for found in outcomes if not found.backed_up]
    return f" {NO_BACKUP.format(', '.join(bare))}" if bare else ""


def _done(found: Outcome) -> bool:
    return found.kind in (MIGRATED, RUNNING) and found.cut_over
