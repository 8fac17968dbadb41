"""Findings: what a check found, how bad it is, and the exact text of the fix.

Every finding is of a *kind* with a stable id, a severity and a meaning; the ids are what operators accept, alert on and
look up in docs/preflight.md.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from consolidation.borders import Json
from consolidation.schema.objects import is_accepted
from consolidation.text import printable

BLOCKER, WARNING, INFO = SEVERITIES = ("blocker", "warning", "info")
WIDTH = 110


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    id: str
    severity: str
    meaning: str
    acceptable: bool = False
    """Whether the operator may accept a blocker of this kind: it loses nothing that the lineage has a place for."""


@dataclass(frozen=True)
class Finding:
    """One thing found. Names and figures, never row data."""

    id: str
    severity: str
    subject: str
    """What it is about: a table, a role, a tool; id and subject together name the finding."""
    what: str
    fix: str
    """SQL to paste, a command, or what to change."""

    def as_result(self) -> dict[str, str]:
        """For module results."""
        return asdict(self)


def accept(findings: Iterable[Finding], accepted: Collection[str], kinds: dict[str, Kind]) -> tuple[Finding, ...]:
    """The findings with accepted blockers (``"ID SUBJECT"``) turned into warnings, where their kind allows that.

    ``*`` in the subject matches any text.
    """
    return tuple(
        replace(finding, severity=WARNING, what=f"accepted: {finding.what}")
        if finding.severity == BLOCKER
        and kinds[finding.id].acceptable
        and is_accepted(finding.id, finding.subject, accepted)
        else finding
        for finding in findings
    )


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Blockers first, then by id and subject."""
    return tuple(sorted(findings, key=lambda found: (SEVERITIES.index(found.severity), found.id, found.subject)))


def summary(findings: Sequence[Finding]) -> Json:
    """How many of each severity, and the ids of the blockers."""
    counts = {severity: sum(found.severity == severity for found in findings) for severity in SEVERITIES}
    return counts | {"blocker_ids": sorted({found.id for found in findings if found.severity == BLOCKER})}


def text_table(title: str, findings: Iterable[Finding]) -> str:
    """The findings for people: blockers first, the fix below each."""
    ordered = in_order(findings)
    counts = [(severity, sum(found.severity == severity for found in ordered)) for severity in SEVERITIES]
    head = ", ".join(f"{number} {severity}{'' if number == 1 else 's'}" for severity, number in counts)
    return "\n".join([f"{title}: {head}", *(line for found in ordered for line in ("", *_lines(found)))]) + "\n"


def _lines(found: Finding) -> list[str]:
    margin = " " * 9
    what = textwrap.wrap(printable(found.what), WIDTH - len(margin), break_long_words=False, break_on_hyphens=False)
    # A fix is pasted: its lines stay whole.
    fix = [printable(line) for line in found.fix.splitlines()]
    return [
        f"{found.severity.upper():8} {found.id:40} {printable(found.subject)}".rstrip(),
        *(margin + line for line in what),
        *(margin + ("fix: " if number == 0 else "     ") + line for number, line in enumerate(fix)),
    ]
