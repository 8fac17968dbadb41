"""The state of a side's fence, as the catalog has it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import StepRefused
from consolidation.journal.state import RunState
from consolidation.model import Database, Side
from consolidation.postgres.catalog import LEFT_BEHIND
from consolidation.postgres.queries import dicts, execute, query

TRIGGER = "aa_consolidation_fence"  # triggers fire in the order of their names: before the table's own
ROW_TRIGGER = f"{TRIGGER}_rows"
"""Refuses what no statement on the table itself brings: apply workers of a subscription, statements on a parent."""

ABSENT, PREPARED, LOADING, CLOSED, BROKEN = "absent", "prepared", "loading", "closed", "broken"
"""``loading``: closed, but for the row trigger, which would slow every row of a load. ``broken``: neither open nor
closed; it refuses some writers, another session has switched or dropped a trigger."""
OPEN = "open"
"""Wanted of a side: no one is refused."""


@dataclass(frozen=True)
class Fenced:
    """One table and its fence's triggers."""

    schema: str
    name: str
    oid: int
    kind: str
    """pg_class.relkind: a partitioned table ('p') has no row trigger, its partitions have."""
    statements: str | None
    """pg_trigger.tgenabled of the statement trigger; None where there is none."""
    rows: str | None
    """The same of the row trigger."""
    epoch: str
    """Digest of what must not change while the fence is closed; see ``sql/state.sql``."""
    form: str
    """The same without the fence: what the table is, and which file holds its rows."""

    @property
    def identifier(self) -> sql.Identifier:
        """The qualified, quoted name."""
        return sql.Identifier(self.schema, self.name)

    @property
    def triggers(self) -> dict[str, str | None]:
        """The triggers that belong here, by name, with what ``tgenabled`` says of each."""
        return {TRIGGER: self.statements} | ({ROW_TRIGGER: self.rows} if self.kind == "r" else {})

    @property
    def enabled(self) -> tuple[str, ...]:
        """The triggers that refuse a writer."""
        return tuple(name for name, enabled in self.triggers.items() if enabled in {"O", "A", "R"})

    @property
    def state(self) -> str:
        """ALWAYS is demanded of a closed one: else sessions of replication tools write past it."""
        found = set(self.triggers.values())
        if found == {"A"}:
            return CLOSED
        if self.enabled == (TRIGGER,) and self.statements == "A" and None not in found:
            return LOADING
        if self.enabled:
            return BROKEN
        return ABSENT if None in found else PREPARED


def needs_change(state: str, wanted: str) -> bool:
    """A closed fence is prepared as well: preparing never opens it, only ``open`` does."""
    match wanted:
        case "prepared":
            return state in {ABSENT, BROKEN}
        case "open":
            return state in {LOADING, CLOSED, BROKEN}
        case "loading":
            return state not in {LOADING, CLOSED}
        case _:
            return state != wanted


def read(conn: Connection, side: Side) -> tuple[Fenced, ...]:
    """The tables of a side with their fence's state."""
    parameters = {
        "schema": side.schema,
        "tables": list(side.tables),
        "left_behind": sorted(LEFT_BEHIND),
        "trigger": TRIGGER,
        "row_trigger": ROW_TRIGGER,
    }
    return tuple(Fenced(**row) for row in dicts(conn, query("fence/state"), parameters))


def is_closed(conn: Connection, side: Side, wanted: str = CLOSED) -> bool:
    """Whether every table of the side is fenced (a side without tables is not); LOADING: fit for a load at least."""
    tables = read(conn, side)
    return bool(tables) and not any(needs_change(fenced.state, wanted) for fenced in tables)


def epoch(tables: Iterable[Fenced]) -> str:
    """Another one after anything was done to a table or its fence that could let its content change, whoever did it.

    Whatever the state is now: a fence that was lifted and closed again is another one.
    """
    found = sorted((fenced.oid, fenced.epoch) for fenced in tables)
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def require_unbroken(source: Connection, database: Database, run: RunState) -> None:
    """The source's fence must be the one that the fence phase has closed, and not have been lifted since.

    ``source``: a session there. Raises StepRefused.
    """
    tables = read(source, database.source_side)
    if not tables or not all(fenced.statements in {"A", "O"} for fenced in tables):
        raise StepRefused(
            f"{database.name}: the source is not fenced, rows could change or have changed",
            hint="run ansible-playbook migrate.yml: it fences, copies and verifies in order",
        )
    if run.fence.fence_epoch != epoch(tables):
        raise StepRefused(
            f"{database.name}: the source is not as this run has fenced it: the fence was lifted and closed again, or a"
            " table was altered (columns, files, partitions, types); rows may have changed in between",
            hint="find out by whom (the server's log has the statement); then run ansible-playbook migrate.yml: it"
            " notes the fence as it is now, copies and verifies again",
        )


def pass_through(conn: Connection) -> None:
    """Let this transaction write behind a closed fence; only for the role that made the fence."""
    execute(conn, "SET LOCAL consolidation.pass = 'on'")
