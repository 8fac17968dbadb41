"""Rollback when the storage database itself is lost: the source opens without it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from consolidation.borders import Json
from consolidation.capture import state as capture
from consolidation.errors import ConnectionFailed, StepRefused
from consolidation.fence import sides, trigger
from consolidation.fence import state as fence
from consolidation.model import Database
from consolidation.postgres import reach
from consolidation.postgres.connection import connect, session

QUIET = (capture.ABSENT, capture.PREPARED)
"""Captures that cost no one anything."""
SERVICES = (
    "If its services had been cut over, repoint them by hand, on each of their hosts: put <config>.before-<run id> "
    "in the place of the configuration, let the link current of the release point where before-<run id> points, restart"
)
RETURNED = (
    "When the storage database is back, ansible-playbook playbooks/resolve.yml comes before any other command: both"
    " sides may take writes then"
)


WRITERS = "right now the source takes no writes, and whether the storage database does is not known"


@dataclass(frozen=True)
class Plan:
    """The source's tables that are closed."""

    database: Database
    closed: tuple[fence.Fenced, ...]
    unreachable: str
    """What became of the attempt to reach the storage database."""
    captured: tuple[str, ...] = ()
    """Tables whose triggers note what changes, of a run in mode online."""

    @property
    def sentence(self) -> str:
        """What the operator types to agree."""
        return f"open {self.database.name} without the writes that only its lost storage database has"

    @property
    def loss(self) -> str:
        """What opening the source may lose."""
        return (
            f"{self.database.name}: {self.unreachable}. If the run had cut over, every write made since is in "
            "that database only, and the source goes on without it. Before the cutover (see the run's report) nothing "
            "is lost"
        )

    @property
    def next_step(self) -> str:
        """What the operator does about it; as JSON, for Ansible splits other values at their spaces."""
        consent = shlex.quote(json.dumps({"rollback_consent": self.sentence}))
        return f"bring that database back if you can; else add --limit {self.database.name} -e {consent}"

    @property
    def msg(self) -> str:
        """For check mode."""
        return f"{self.loss}\nNext: {self.next_step}" if self.changed else self.skip_reason

    @property
    def skip_reason(self) -> str:
        """Where nothing is to be done."""
        return f"{self.database.name}: the source is open already. {SERVICES}. {RETURNED}{self.left}"

    @property
    def left(self) -> str:
        """What stays on the source until the storage database is back, or preflight is followed."""
        if not self.captured:
            return ""
        return (
            f". Triggers of mode online still note what changes in {', '.join(self.captured)}, which every writer pays"
            " for; preflight of the next run prints the statements that remove them (source.capture.left)"
        )

    @property
    def changed(self) -> bool:
        """Whether anything is closed."""
        return bool(self.closed)

    def diff(self) -> dict[str, str]:
        """One line for each table."""
        return {"prepared": "".join(f"open source {table.schema}.{table.name}\n" for table in self.closed)}


def plan(database: Database) -> Plan:
    """What would be opened. Raises StepRefused while the storage database answers: then rollback.yml loses nothing."""
    try:
        connect(database.target, "abandon").close()
    except ConnectionFailed as error:
        unreachable = error.message
        if reach.answers(database.target) and not reach.is_missing(database.target):
            raise StepRefused(
                f"{database.name}: the server of its storage database answers, others may write there: {unreachable}",
                hint="make the database reachable, then run ansible-playbook rollback.yml; if that is not possible,"
                " stop that server",
                facts={"writers": sides.writers(database)},
            ) from error
    else:
        raise StepRefused(
            f"{database.name}: its storage database answers, it is not lost",
            hint="run ansible-playbook rollback.yml: it brings the writes made since the cutover back; where the source"
            " is open already or the journal is older, ansible-playbook playbooks/resolve.yml resolves it",
            facts={"writers": sides.writers(database)},
        )
    side = database.source_side
    with session(database.source, "abandon plan") as conn:
        closed = tuple(table for table in fence.read(conn, side) if table.enabled)
        noting = tuple(table.name for table in capture.read(conn, side) if table.state not in QUIET)
    return Plan(database, closed, unreachable, noting)


def apply(plan: Plan, consent: str, timeout_seconds: float) -> Json:
    """Open the source. Raises StepRefused unless ``consent`` is the plan's sentence."""
    database = plan.database
    if not plan.changed:
        return {"msg": plan.skip_reason}
    if consent != plan.sentence:
        raise StepRefused(plan.loss, hint=plan.next_step, facts={"writers": WRITERS})
    with session(database.source, "abandon") as conn:
        opened_at = trigger.open_side(conn, database.source_side, timeout_seconds)
    return {
        "opened_at": opened_at,
        "msg": f"{database.name}: the source is open, its writers go on there. {SERVICES}. {RETURNED}{plan.left}",
        "tables": [f"{table.schema}.{table.name}" for table in plan.closed],
    }
