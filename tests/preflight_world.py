"""A campaign database and a storage database as preflight finds them, and read-only roles to look with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from consolidation import files, model
from consolidation.preflight import phase as preflight
from consolidation.preflight.findings import BLOCKER, Finding
from demo import roles
from tests.cluster import Database

DDL = (Path(__file__).parents[1] / "demo" / "sql" / "campaign.sql").read_text(encoding="utf-8")
ROWS = """
INSERT INTO campaigns (id, name, description, creator_id, owner_id)
VALUES ('00000000-0000-0000-0000-000000000001', 'It''s "one"', 'x', gen_random_uuid(), gen_random_uuid());
INSERT INTO chapters (id, campaign_id, title, sequence_number)
VALUES ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 'two', 1);
"""


@dataclass
class World:
    """What a case may change before preflight looks at it."""

    source: Database
    target: Database
    database: model.Database
    options: preflight.Options

    def report(self) -> preflight.Report:
        return preflight.examine(self.database, self.options)

    def owner(self, statements: str) -> None:
        """Run on the source as the owner of the tables."""
        self.source.execute(statements, role="campaign_owner")


def create(source: Database, target: Database, directory: Path) -> World:
    """The source has its tables and a row in each; both sides are looked at by consolidation_reader."""
    source.execute(DDL + ROWS, role="campaign_owner")
    source.execute("GRANT pg_read_all_stats TO consolidation_reader")
    target.execute(
        "CREATE ROLE consolidation_reader LOGIN;"
        "GRANT CONNECT ON DATABASE storage TO consolidation_reader; GRANT pg_read_all_stats TO consolidation_reader"
    )
    passfile = directory / "reader"
    files.write(passfile, "".join(roles.give_passwords(target.server, ["consolidation_reader"])))
    options = preflight.Options(
        directory / "backup",
        target.server.bin,
        preflight.Reader("consolidation_reader"),
        preflight.Reader("consolidation_reader", str(passfile)),
    )
    roles_of_both = {"application_roles": ("campaign_app",), "target_roles": ("storage_service",)}
    database = model.Database("campaign_db", source.settings, "public", (), target.settings, **roles_of_both)
    return World(source, target, database, options)


def as_runbook(world: World) -> None:
    """Look as the runbook's own role."""
    world.options = replace(world.options, source_reader=None, target_reader=None)


def blockers(findings: Sequence[Finding]) -> set[str]:
    return {finding.id for finding in findings if finding.severity == BLOCKER}


def assert_found(world: World, kind: str, severity: str, others: set[str]) -> None:
    findings = world.report().findings
    assert severity in {finding.severity for finding in findings if finding.id == kind}, {f.id for f in findings}
    assert blockers(findings) - others == ({kind} if severity == BLOCKER else set())
    assert all(finding.what and finding.fix for finding in findings)
    assert [finding.fix for finding in findings if not is_careful(finding)] == []


LOSES = re.compile(r"\b(DELETE FROM|TRUNCATE|DROP (TABLE|SCHEMA|DATABASE|COLUMN)|lo_unlink|UPDATE \S+ SET)\b")


def is_careful(finding: Finding) -> bool:
    """A fix that may lose data says how many rows, and is not the only way on."""
    first = finding.fix.splitlines()[0]
    another_way = not LOSES.search(first) and not first.removeprefix("-- ").startswith("or ")
    return not LOSES.search(finding.fix) or (" row(s)" in finding.what and another_way)
