"""The way back when the storage database itself is lost: the source opens without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consolidation import fence
from consolidation.connection import connect, session
from consolidation.errors import ConnectionFailed, StepRefused
from consolidation.model import Database


@dataclass(frozen=True)
class Plan:
    """The source's tables that are closed."""

    database: Database
    closed: tuple[fence.Fenced, ...]

    @property
    def sentence(self) -> str:
        """What the operator types to agree."""
        return f"open {self.database.name} without the writes that only its lost storage database has"

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
    except ConnectionFailed:
        pass
    else:
        raise StepRefused(
            f"{database.name}: its storage database answers, it is not lost",
            hint="run ansible-playbook rollback.yml: it brings the writes made since the cutover back",
        )
    side = fence.side_of(database, "source")
    with session(database.source, "abandon plan") as conn:
        closed = tuple(table for table in fence.read(conn, side) if table.state == fence.CLOSED)
    return Plan(database, closed)


def apply(plan: Plan, consent: str, timeout_seconds: float) -> dict[str, Any]:
    """Open the source. Raises StepRefused unless ``consent`` is the plan's sentence."""
    database = plan.database
    if not plan.changed:
        return {"msg": f"{database.name}: the source is open already"}
    if consent != plan.sentence:
        raise StepRefused(
            f"{database.name}: if the run had cut over, every write made since is in the lost storage database only, "
            "and the source goes on without it. Before the cutover (see the run's report) nothing is lost",
            hint=f"bring the storage database back if you can; else type -e 'rollback_consent={plan.sentence}'",
        )
    with session(database.source, "abandon") as conn:
        opened = fence.open_side(conn, fence.side_of(database, "source"), timeout_seconds)
    return {**opened, "tables": [f"{table.schema}.{table.name}" for table in plan.closed]}
