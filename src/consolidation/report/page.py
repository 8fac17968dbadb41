"""report.html: the page of a run's report, drawn from the content of report.json and the journal's facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from consolidation import text as figures
from consolidation.report import outage, outcome, throughput, timeline, titles
from consolidation.report.outcome import Facts
from consolidation.report.tables import comparison, tables

SEVERITIES = ("blocker", "warning", "accepted", "info")
LONGEST_LIST = 10


def render(content: Mapping[str, Any], databases: Sequence[Facts], evidence: Mapping[str, str]) -> str:
    """report.html: one file, no script, nothing fetched from anywhere."""
    environment = Environment(
        loader=PackageLoader("consolidation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=figures.count,
        size=figures.size,
        duration=figures.duration,
        at_most=figures.at_most,
        moment=outcome.moment,
        flat=_flat,
        title_of=titles.title,
        grouped=_grouped,
    )
    return environment.get_template("report.html.j2").render(
        report=content,
        pictures=pictures(databases),
        tables={database["name"]: tables(database) for database in databases},
        verified={database["name"]: comparison(database) for database in databases},
        throughputs={database["name"]: throughput.draw(database.get("throughput") or []) for database in databases},
        evidence=evidence,
    )


def pictures(databases: Sequence[Facts]) -> list[tuple[str, timeline.Picture]]:
    """The timelines by title, migration and rollback apart: days may be between them."""
    titles = (("Migration", False), ("Rollback", True))
    drawn = [
        (title, timeline.draw([_lane(database, rollback) for database in databases])) for title, rollback in titles
    ]
    return [(title, picture) for title, picture in drawn if picture is not None]


def _lane(database: Facts, rollback: bool) -> timeline.Lane:
    phases = database["phases"]
    back = next((place for place, phase in enumerate(phases) if phase["name"].startswith("rollback")), len(phases))
    spans = []
    for phase in phases[back:] if rollback else phases[:back]:
        start, end = outcome.time_of(phase["started_at"]), outcome.time_of(phase["finished_at"])
        if start is not None:
            spans.append(timeline.phase(titles.title(phase["name"]), phase["state"], start, end, phase["attempts"]))
    shades = tuple(
        timeline.Span("", "", shut.closed_at, shut.opened_at, _no_writes(shut)) for shut in outage.outages(database)
    )
    return timeline.Lane(database["name"], tuple(spans), shades)


def _no_writes(shut: outage.Outage) -> str:
    if shut.opened_at:
        return f"writes refused for {figures.duration(shut.seconds)}"
    return f"writes refused since {shut.closed_at.astimezone(UTC):%H:%M:%S}"


def _grouped(findings: Sequence[Facts]) -> list[tuple[str, list[Facts]]]:
    """Findings by severity, the worst first; what the operator has accepted stands apart."""
    groups: dict[str, list[Facts]] = {severity: [] for severity in SEVERITIES}
    for finding in findings:
        accepted = str(finding.get("what", "")).startswith("accepted: ")
        groups.setdefault("accepted" if accepted else str(finding.get("severity")), []).append(finding)
    return list(groups.items())


def _flat(result: Any, name: str = "") -> list[tuple[str, str]]:
    """The single values of a phase's result as (name, text); long lists and mappings are only counted."""
    if isinstance(result, Mapping):
        if name and len(result) > LONGEST_LIST:
            return [(name, f"{len(result)} entries")]
        return [pair for key, value in result.items() for pair in _flat(value, f"{name}.{key}" if name else str(key))]
    if isinstance(result, list):
        plain = len(result) <= LONGEST_LIST and not any(isinstance(value, (Mapping, list)) for value in result)
        return [(name, ", ".join(map(str, result)) or figures.NOTHING if plain else f"{len(result)} entries")]
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        if name.endswith("bytes"):
            return [(name, figures.size(result))]
        if name.endswith("seconds"):
            return [(name, figures.duration(result))]
    return [(name, figures.NOTHING if result is None else str(result))]
