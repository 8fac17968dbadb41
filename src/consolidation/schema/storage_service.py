"""The Storage Service's own tables, a lineage beside those of the databases it serves."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consolidation.borders import Json
from consolidation.journal.phase import require_entered
from consolidation.lineage import alembic as lineage
from consolidation.model import Database
from consolidation.schema import grants
from consolidation.schema import phase as schema

LINEAGE = "storage_service"


@dataclass(frozen=True)
class Plan:
    """The pending revisions, and the grants that the target's roles lack."""

    lineage: schema.Plan
    grants: grants.Grants

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return self.lineage.changed or self.grants.changed

    def diff(self) -> dict[str, str]:
        """The SQL."""
        return {"prepared": self.lineage.diff()["prepared"] + self.grants.diff()["prepared"]}


def plan(database: Database) -> Plan:
    """What the target of this database lacks; which of the databases asks does not matter."""
    service = replace(database, name=LINEAGE)
    return Plan(schema.plan(service), grants.plan_grants(service))


def apply(plan: Plan) -> Json:
    """Upgrade, then grant."""
    database = plan.lineage.database
    require_entered(database)
    if plan.lineage.pending:
        lineage.upgrade(database.target, LINEAGE)
    lacking = grants.plan_grants(database)
    return {"revisions": [revision.id for revision in plan.lineage.pending], **grants.apply_grants(lacking)}
