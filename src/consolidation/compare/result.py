"""What a comparison found, as values for machines and in words for people; no row data but keys, and those as facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from consolidation.borders import Json
from consolidation.compare.buckets import Differences
from consolidation.compare.digest import Digest

EQUAL, DIFFERENT, NOT_COMPARED = "equal", "different", "could_not_compare"

OUTCOMES = (DIFFERENT, NOT_COMPARED, EQUAL)
"""The worst first."""

FAULTS_SAID = 20
"""Faults that a message names; the result has them all."""


@dataclass(frozen=True)
class TableResult:
    """One table of both sides."""

    name: str
    outcome: str
    source: Digest | None = None
    target: Digest | None = None
    differences: Differences | None = None
    """Where it differs, if that could be found out."""
    reason: str = ""
    seconds: float = 0.0
    """Of the slower side's digest."""
    method: str = "rows hashed by SQL on both sides"

    def as_result(self) -> Json:
        """For module results, the journal and the report."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "source_rows": self.source.rows if self.source else None,
            "target_rows": self.target.rows if self.target else None,
            "source_digest": self.source.hex if self.source else "",
            "target_digest": self.target.hex if self.target else "",
            "differences": self.differences.as_result() if self.differences else {},
            "reason": self.reason or (str(self.differences) if self.differences else ""),
            "seconds": self.seconds,
            "method": self.method,
        }


@dataclass(frozen=True)
class SequenceResult:
    """One sequence of both sides and the values that they hand out next."""

    name: str
    outcome: str
    source_next: int | None = None
    target_next: int | None = None
    reason: str = ""


def as_result(tables: Iterable[TableResult], sequences: Iterable[SequenceResult], faults: Sequence[str]) -> Json:
    """``outcome`` (the worst of all), ``tables``, ``sequences``, ``faults`` of the target's schema, ``summary`` lines.

    No table at all is not equality: then nothing was compared.
    """
    result: Json = {
        "tables": [table.as_result() for table in tables],
        "sequences": [asdict(sequence) for sequence in sequences],
        "faults": list(faults),
    }
    found = {entry["outcome"] for entry in (*result["tables"], *result["sequences"])}
    if faults:
        found.add(DIFFERENT)
    if not result["tables"]:
        found.add(NOT_COMPARED)
    result["outcome"] = next(outcome for outcome in OUTCOMES if outcome in found)
    result["summary"] = summary(result)
    return result


def summary(result: Json) -> list[str]:
    """One line for each table and sequence, and each fault."""
    lines: list[str] = [
        f"{entry['name']}: {_said(entry['outcome'])}, {_count(entry['source_rows'])} rows in the source, "
        f"{_count(entry['target_rows'])} in the target{_because(entry)}"
        for entry in result["tables"]
    ]
    lines += [f"sequence {entry['name']}: {_said(entry['outcome'])}{_because(entry)}" for entry in result["sequences"]]
    return [*lines, *result["faults"]]


def complaint(result: Json) -> str:
    """What is not equal, in one line; the names of all tables, counts, no keys."""
    wrong = [
        f"{kind}{entry['name']} {_said(entry['outcome'])}{_because(entry)}"
        for kind, entries in (("table ", result["tables"]), ("sequence ", result["sequences"]))
        for entry in entries
        if entry["outcome"] != EQUAL
    ]
    if not result["tables"]:
        wrong.append("the source has no tables")
    faults = result["faults"]
    more = len(faults) - FAULTS_SAID
    return "; ".join([*wrong, *faults[:FAULTS_SAID], *([f"{more} more faults"] if more > 0 else [])])


def repair(result: Json) -> str:
    """What the operator does about it."""
    found = {entry["outcome"] for entry in (*result["tables"], *result["sequences"])}
    steps = []
    if DIFFERENT in found:
        steps.append(
            "the result (differences) has the keys of the rows that differ; ansible-playbook playbooks/repair.yml"
            " makes the target like the source, migrate.yml then goes on; or roll back with rollback.yml"
        )
    if NOT_COMPARED in found or not result["tables"]:
        steps.append("remove the reason why something could not be compared, and run again")
    if result["faults"]:
        steps.append("validate, enable or recreate what is named, as the lineage has it, and run again")
    return "; ".join(steps)


def _said(outcome: str) -> str:
    return "could not be compared" if outcome == NOT_COMPARED else outcome


def _because(entry: Json) -> str:
    return f" ({entry['reason']})" if entry["reason"] else ""


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
