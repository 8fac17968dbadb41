"""One maintenance window on test servers: the phases of the runbook, called as the modules call them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from consolidation import model
from consolidation.capture import phase as capture
from consolidation.copy import phase as copy
from consolidation.cutover import phase as cutover
from consolidation.fence import phase as fence_phase
from consolidation.fence import trigger
from consolidation.follow import phase as follow
from consolidation.follow import proof, verification
from consolidation.follow.changeover import Options
from consolidation.follow.gate import Gate
from consolidation.journal import records, state
from consolidation.journal import runs as run
from consolidation.journal.state import RunState
from consolidation.postgres.connection import Settings, session
from consolidation.rollback import changeover
from consolidation.schema import built, grants
from consolidation.schema import phase as schema
from consolidation.verify import phase as verify
from tests.cluster import Database, quoted

QUICK = Options(gate=Gate(lag_seconds=2), pause_seconds=0.01, lock_seconds=10)


@dataclass
class Window:
    """A service database on its way to the storage database. Every step plans and applies."""

    source: Database
    target: Database
    name: str = "campaign_db"
    application_roles: list[str] = field(default_factory=lambda: ["campaign_app"])
    source_schema: str = "public"
    tables: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    mode: str = "window"
    readers: int = 0
    """Of the copy: it reads tables again that are loaded, where ``tests.rereading`` lets it."""
    control: dict[str, Any] = field(default_factory=lambda: {"host": "here", "pid": os.getpid(), "started": "1"})

    @property
    def options(self) -> dict[str, Any]:
        """The `database` option of the modules."""
        return {
            "name": self.name,
            "source": _options(self.source.settings),
            "source_schema": self.source_schema,
            "tables": self.tables,
            "application_roles": self.application_roles,
            "target": _options(self.target.settings),
            "target_roles": ["storage_service"],
            "mode": self.mode,
        }

    @property
    def database(self) -> model.Database:
        return model.Database.from_options(self.options)

    def begin(self, wanted: str = records.MIGRATING, alive: dict[str, Any] | None = None) -> dict[str, Any]:
        caller = run.Caller(self.control, alive, "")
        return run.apply(run.plan(self.database, wanted, caller), caller)

    def end(self, wanted: str) -> dict[str, Any]:
        return self.begin(wanted)

    def schema(self) -> dict[str, Any]:
        """Lineage, grants, a look at both, closed target."""
        result = self.build()
        self.fence("target", "closed", "schema_fence")
        return result

    def build(self) -> dict[str, Any]:
        """The same with the target as it was."""
        result = schema.apply(schema.plan(self.database))
        grants.apply_grants(grants.plan_grants(self.database))
        built.require(self.database, tuple(self.accepted))
        return result

    def own_schema(self, ddl: str) -> None:
        """A target schema without a lineage: tables that only a test has."""
        name = quoted(self.name)
        self.target.execute(f"CREATE SCHEMA {name}; SET search_path = {name}; {ddl}", user="consolidation")
        grants.apply_grants(grants.plan_grants(self.database))
        self.fence("target", "closed", "schema_fence")

    def fence(self, side: str, wanted: str, phase: str = "fence", timeout: float = 10) -> dict[str, Any]:
        plan = fence_phase.plan(self.database, side, wanted, rollback=phase.startswith("rollback"))
        assert plan.phase == phase
        return fence_phase.apply(plan, timeout)

    def lift(self, side: str = "source") -> None:
        """Open a fence by hand, as an operator might: the journal does not know of it."""
        with session(self.database.side(side).settings, "test") as conn:
            trigger.open_side(conn, self.database.side(side), 10)

    def shut(self, side: str = "target") -> None:
        """Close a side wholly, as the copy leaves the target; the schema phase leaves it fit for a load."""
        with session(self.database.side(side).settings, "test") as conn:
            trigger.close_side(conn, self.database.side(side), 10)

    def copy(self, workers: int = 2) -> dict[str, Any]:
        return copy.apply(copy.plan(self.database), workers, self.readers)

    def capture(self, side: str = "source", state: str = "on") -> dict[str, Any]:
        return capture.apply(capture.plan(self.database, side, state), 10)

    def follow(self, to: str = "target") -> dict[str, Any]:
        return follow.apply(follow.plan(self.database, to), follow.Options(QUICK))

    def verify(self) -> dict[str, Any]:
        return verification.apply(verify.plan(self.database), verify.Options())

    def cutover(self, options: Options | None = None) -> dict[str, Any]:
        return cutover.apply(cutover.plan(self.database), options or QUICK)

    def prove(self) -> dict[str, Any]:
        return proof.apply(proof.plan(self.database), 10)

    def change_back(self, options: Options | None = None) -> dict[str, Any]:
        return changeover.apply(changeover.plan(self.database), options or QUICK)

    def prove_equal(self) -> None:
        """From the beginning to the verification."""
        self.begin()
        self.schema()
        self.fence("source", "closed")
        self.copy()
        verify.apply(verify.plan(self.database), verify.Options())

    def open(self) -> None:
        """From the beginning to the cutover."""
        self.prove_equal()
        self.cutover()

    def migrate(self) -> None:
        """From the beginning to the end."""
        self.open()
        self.end(records.MIGRATED)

    def state(self) -> RunState:
        with self.target.connection("consolidation") as conn:
            return state.read(conn, self.database)

    def phases(self) -> dict[str, records.PhaseRecord]:
        with self.target.connection("consolidation") as conn:
            return records.phases(conn, records.current_run(conn, self.name, *ALL_STATES))


ALL_STATES = (records.MIGRATING, records.MIGRATED, records.ROLLING_BACK, records.ROLLED_BACK)


def _options(settings: Settings) -> dict[str, Any]:
    return settings.keywords()
