"""The journal: what was done, in the storage database itself, so that a run resumes wherever it was cut off.

A *run* is one maintenance window; it may cover several databases, each with a state of its own:

    migrating -> migrated -> rolling_back -> rolled_back
    migrating -> rolling_back -> rolled_back

A *phase* of one database is ``running``, ``done`` or ``failed``. While a process works on a database it holds a session
advisory lock, so that a process that died is distinguished from one that works.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict
from uuid import uuid4

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.errors import StepRefused
from consolidation.journal.results import CopyResult, CutoverResult, Result
from consolidation.postgres.queries import dicts, execute, query, value

MIGRATING, MIGRATED, ROLLING_BACK, ROLLED_BACK = "migrating", "migrated", "rolling_back", "rolled_back"
LOCK_SPACE = 0x636F6E73  # "cons": the first key of our advisory locks


class Control(TypedDict, total=False):
    """An ansible-playbook process."""

    host: str
    pid: int
    started: str | int
    """When, as its host gives it: with the pid, its identity."""
    take_over: str
    """Of the calling one: the run that it may take over, whose process is gone."""


@dataclass(frozen=True)
class Run:
    """One maintenance window as one database sees it."""

    id: str
    database: str
    state: str
    operator: str
    control: Control
    """The process that works on it, or did last."""
    started_at: datetime

    def as_result(self) -> Json:
        """For module results."""
        return {
            "id": self.id,
            "database": self.database,
            "state": self.state,
            "operator": self.operator,
            "control": self.control,
            "started_at": self.started_at.isoformat(),
        }


@dataclass(frozen=True)
class PhaseRecord:
    """What the journal knows of one phase."""

    name: str
    state: str
    attempts: int
    started_at: datetime
    finished_at: datetime | None
    result: Json
    error: str | None


def exists(target: Connection) -> bool:
    """Whether the storage database has a journal yet."""
    return value(target, "SELECT to_regclass('consolidation.run_database') IS NOT NULL") is True


def latest_run(target: Connection, database: str) -> Run | None:
    """The newest run of a database, None where there was none."""
    if not exists(target):
        return None
    found = dicts(target, query("journal/latest_run"), {"database": database})
    return Run(**found[0]) if found else None


def was_rolled_back(target: Connection, database: str) -> bool:
    """Whether the last run that ended was rolled back: what it left in the target is on the source too."""
    if not exists(target):
        return False
    return bool(value(target, query("journal/last_ended"), {"database": database}) == ROLLED_BACK)


def phases(target: Connection, run: Run) -> dict[str, PhaseRecord]:
    """The phases of a run's database by name, in the order they were started."""
    statement = (
        "SELECT name, state, attempts, started_at, finished_at, coalesce(result, '{}') AS result, error"
        " FROM consolidation.phase WHERE run_id = %s AND database = %s ORDER BY started_at, name"
    )
    return {row["name"]: PhaseRecord(**row) for row in dicts(target, statement, [run.id, run.database])}


def current_run(target: Connection, database: str, *states: str) -> Run:
    """The newest run of a database, which must be in one of ``states``. Raises StepRefused."""
    run = latest_run(target, database)
    if run is None:
        raise StepRefused(f"{database}: the journal knows no run", hint="start with ansible-playbook migrate.yml")
    if run.state not in states:
        raise StepRefused(
            f"{database}: run {run.id} is {run.state}, this step needs one that is {' or '.join(states)}",
            hint="migrate.yml begins or resumes a run, rollback.yml rolls one back",
        )
    return run


def now(journal: Connection) -> str:
    """The journal's clock, ISO 8601: moments of one figure come from one clock."""
    found: datetime = value(journal, "SELECT clock_timestamp()")
    return found.astimezone(UTC).isoformat(timespec="milliseconds")


def note_rows(target: Connection, run: Run, rows: list[dict[str, str]]) -> None:
    """Note in the caller's transaction which rows of a smoke test the target has, or is about to have."""
    statement = (
        "UPDATE consolidation.phase SET result = coalesce(result, '{}') || %s"
        " WHERE run_id = %s AND database = %s AND name = 'cutover'"
    )
    execute(target, statement, [json.dumps(CutoverResult(smoke_rows=tuple(rows)).as_json()), run.id, run.database])


def renew_copy(target: Connection, run: Run, *, emptied: bool | None = None) -> None:
    """Note in the caller's transaction that the target's content is another one now."""
    statement = (
        "UPDATE consolidation.phase SET result = coalesce(result, '{}') || %s"
        " WHERE run_id = %s AND database = %s AND name = 'copy'"
    )
    result = CopyResult(copy_id=uuid4().hex, emptied=emptied)
    execute(target, statement, [json.dumps(result.as_json()), run.id, run.database])


def start(target: Connection, run: Run, phase: str, result: Result) -> None:
    """Have a phase be under way in the caller's transaction, with this added to its result; its own attempt follows."""
    before = value(target, query("journal/phase_start"), [run.id, run.database, phase])
    statement = (
        "UPDATE consolidation.phase SET result = %s, attempts = attempts - 1"
        " WHERE run_id = %s AND database = %s AND name = %s"
    )
    execute(target, statement, [json.dumps({**(before or {}), **result.as_json()}), run.id, run.database, phase])


def note(target: Connection, run: Run, phase: str, result: Result) -> None:
    """Have a phase be done in the caller's transaction, with this added to its result."""
    execute(target, query("journal/phase_note"), [run.id, run.database, phase, json.dumps(result.as_json())])


def forget(target: Connection, run: Run, *names: str) -> None:
    """Take phases out of the journal, in the caller's transaction: what they did is not so any more."""
    statement = "DELETE FROM consolidation.phase WHERE run_id = %s AND database = %s AND name = ANY (%s)"
    execute(target, statement, [run.id, run.database, list(names)])
