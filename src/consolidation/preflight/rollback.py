"""What endangers a rollback: where the target takes rows that the source would refuse.

Before the migration nothing is wrong with it. It is after the cutover that such rows come to be, and then a rollback is
refused until they are changed. So the findings that say that the lineage is looser than the source say that, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from consolidation.postgres.queries import rows
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.models import Lineage
from consolidation.preflight.side import Check, Side

VIOLATING = "a row written after the cutover that violates it would stop a rollback"
UNFIT = "a value written after the cutover that does not fit the source's type would stop a rollback"
DANGERS = {
    "schema.column.widened": UNFIT,
    "schema.column.looser": "a NULL written after the cutover would stop a rollback",
    "schema.column.json_converted": "json written after the cutover that jsonb refuses would stop a rollback",
    "schema.table.missing": "rows written to it after the cutover would stop a rollback: the source has no such table",
    "schema.unique.extra": VIOLATING,
    "schema.foreign_key.extra": VIOLATING,
    "source.object.check": VIOLATING,
    "source.object.exclusion": VIOLATING,
    "source.object.partitioned_table": "a row written after the cutover that fits no partition would stop a rollback",
    "source.object.rule": "a rollback sets it aside while it brings rows back, as it does with triggers",
}
FIX = (
    "keep the lineage as strict as the source until the source is given up, or have its owner loosen it first;\n"
    "after the cutover ansible-playbook rollback.yml --check tries whether the source takes every row"
)


def with_danger(finding: Finding) -> Finding:
    """The finding, with what it means for a rollback."""
    danger = DANGERS.get(finding.id)
    if danger is None or (finding.id == "schema.column.json_converted" and not finding.what.startswith("jsonb")):
        return finding
    fix = FIX if finding.fix == "nothing to do" else finding.fix
    return replace(finding, what=f"{finding.what}; {danger}", fix=fix)


def checks(source: Side, lineage: Lineage) -> Iterator[Check]:
    """Checks of what only a rollback minds."""
    yield Check("the labels of enums that only the lineage has", lambda: _labels(source, lineage))


def _labels(source: Side, lineage: Lineage) -> Iterator[Finding]:
    statement = (
        "SELECT t.typname, array_agg(e.enumlabel::text) FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid"
        " JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = %s GROUP BY t.typname ORDER BY t.typname"
    )
    for name, labels in rows(source.conn, statement, [source.schema]):
        if new := [label for label in lineage.enums.get(name, ()) if label not in labels]:
            what = f"enum {name}: only the lineage has {', '.join(new)}; {UNFIT}"
            yield found("schema.enum.looser", f"{source.schema}.{name}", what, FIX)
