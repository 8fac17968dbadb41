"""One maintenance window up to the verification, called as the runbook's modules call it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from consolidation import model
from consolidation.copy import phase as copy
from consolidation.fence import phase as fence_phase
from consolidation.fence import state as fence
from consolidation.journal import records
from consolidation.journal import runs as run
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import execute
from consolidation.schema import grants
from consolidation.verify import phase as verify

LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Product:
    """A source database on its way into the schema `name` of the target database."""

    name: str
    source: Settings
    target: Settings
    workers: int
    readers: int = 0

    @property
    def database(self) -> model.Database:
        roles = ((f"{self.name}_app",), ("storage_service",))
        return model.Database(self.name, self.source, "public", (), self.target, *roles)

    def prepare(self, ddl: str) -> None:
        """All that comes before the copy: the run, tables in the target, both fences closed."""
        caller = run.Caller({"host": "bench", "pid": os.getpid(), "started": "1"}, None, "")
        run.apply(run.plan(self.database, records.MIGRATING, caller), caller)
        name = sql.Identifier(self.name)
        with session(self.target, "bench") as target:
            execute(target, sql.SQL("CREATE SCHEMA {name}; SET search_path = {name}").format(name=name))
            execute(target, ddl)
        grants.apply_grants(grants.plan_grants(self.database))
        for side in (model.TARGET, model.SOURCE):
            fence_phase.apply(fence_phase.plan(self.database, side, fence.CLOSED), LOCK_SECONDS)

    def copy(self) -> dict[str, Any]:
        """The copy phase."""
        return copy.apply(copy.plan(self.database), self.workers, self.readers)

    def verify(self) -> dict[str, Any]:
        """The verify phase. Raises VerificationFailed."""
        return verify.apply(verify.plan(self.database), verify.Options(workers=self.workers))
