"""What a comparison found, as values for machines and in words for people; no row data but keys, and those as facts."""

from __future__ import annotations

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

    @property
    def why(self) -> str:
        """Why it is not equal."""
        return self.reason or (str(self.differences) if self.differences else "")

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
            "reason": self.why,
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


@dataclass(frozen=True)
class Comparison:
    """Both sides, compared. No table at all is not equality: then nothing was compared."""

    tables: tuple[TableResult, ...]
    sequences: tuple[SequenceResult, ...] = ()
    faults: tuple[str, ...] = ()
    """Of the target's schema."""

    @property
    def _found(self) -> set[str]:
        return {table.outcome for table in self.tables} | {sequence.outcome for sequence in self.sequences}

    @property
    def outcome(self) -> str:
        """The worst of all."""
        found = self._found | ({DIFFERENT} if self.faults else set()) | (set() if self.tables else {NOT_COMPARED})
        return next(outcome for outcome in OUTCOMES if outcome in found)

    @property
    def summary(self) -> list[str]:
        """One line for each table and sequence, and each fault."""
        lines = [
            f"{table.name}: {_said(table.outcome)}, {_count(table.source)} rows in the source, "
            f"{_count(table.target)} in the target{_because(table.why)}"
            for table in self.tables
        ]
        lines += [f"sequence {each.name}: {_said(each.outcome)}{_because(each.reason)}" for each in self.sequences]
        return [*lines, *self.faults]

    @property
    def complaint(self) -> str:
        """What is not equal, in one line; the names of all tables, counts, no keys."""
        kinds = [("table ", each.name, each.outcome, each.why) for each in self.tables]
        kinds += [("sequence ", each.name, each.outcome, each.reason) for each in self.sequences]
        wrong = [
            f"{kind}{name} {_said(outcome)}{_because(why)}" for kind, name, outcome, why in kinds if outcome != EQUAL
        ]
        if not self.tables:
            wrong.append("the source has no tables")
        more = len(self.faults) - FAULTS_SAID
        return "; ".join([*wrong, *self.faults[:FAULTS_SAID], *([f"{more} more faults"] if more > 0 else [])])

    @property
    def repair(self) -> str:
        """What the operator does about it."""
        steps = []
        if DIFFERENT in self._found:
            steps.append(
                "the result (differences) has the keys of the rows that differ; ansible-playbook playbooks/repair.yml"
                " makes the target like the source, migrate.yml then goes on; or roll back with rollback.yml"
            )
        if NOT_COMPARED in self._found or not self.tables:
            steps.append("remove the reason why something could not be compared, and run again")
        if self.faults:
            steps.append("validate, enable or recreate what is named, as the lineage has it, and run again")
        return "; ".join(steps)

    def as_json(self) -> Json:
        """For module results, the journal and the report."""
        return {
            "tables": [table.as_result() for table in self.tables],
            "sequences": [asdict(sequence) for sequence in self.sequences],
            "faults": list(self.faults),
            "outcome": self.outcome,
            "summary": self.summary,
        }


def _said(outcome: str) -> str:
    return "could not be compared" if outcome == NOT_COMPARED else outcome


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _count(digest: Digest | None) -> str:
    return f"{digest.rows:,}" if digest else "?"
