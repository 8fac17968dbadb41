"""The report of a run: report.json for machines, report.html for people, from the journal's facts and the evidence.

Pure but for the files it writes: the same facts give the same bytes, so a second report changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from consolidation import evidence as run_directory
from consolidation import text as figures
from consolidation.report import outcome, timeline
from consolidation.report.outcome import Facts, Outage
from consolidation.report.tables import comparison, tables

HTML, JSON = "report.html", "report.json"
PREFLIGHT = "preflight.json"
SEVERITIES = ("blocker", "warning", "info")
LONGEST_LIST = 10


@dataclass(frozen=True)
class Plan:
    """The files of a run's report, and which of them are not there yet as they should be."""

    directory: Path
    files: Mapping[str, str]
    stale: tuple[str, ...]
    summary: Mapping[str, Any]
    """run_id, outcome, verdict, next_command, way_back and path; empty where there was no run."""

    @property
    def changed(self) -> bool:
        """Whether any file would be written."""
        return bool(self.stale)

    def diff(self) -> dict[str, str]:
        """The files that would be written."""
        return {"prepared": "".join(f"{self.directory / name}\n" for name in self.stale)}


def plan(facts: Facts, base: str | Path, commands: Mapping[str, str], inventory: Iterable[str]) -> Plan:
    """The report of the run that the journal's facts tell of, below the folder of the run directories.

    ``commands`` are the operator's full command lines, keys ``migrate`` and ``rollback``, for all databases of the
    ``inventory``.
    """
    if facts["run"] is None:
        return Plan(Path(base), {}, (), {})
    directory = Path(base) / facts["run"]["id"]
    preflights = {database["name"]: _preflight(directory, database["name"]) for database in facts["databases"]}
    findings = {name: json.loads(text) for name, text in preflights.items() if text}
    content = document(facts, commands, inventory, findings)
    files = {
        **evidence(facts["databases"]),
        **{f"{name}/{PREFLIGHT}": text for name, text in preflights.items() if text},
        JSON: json.dumps(content, indent=2, ensure_ascii=False) + "\n",
        HTML: render(content, facts["databases"]),
    }
    return Plan(
        directory=directory,
        files=files,
        stale=tuple(name for name, text in files.items() if run_directory.read(directory / name) != text),
        summary={
            "run_id": facts["run"]["id"],
            "path": str(directory / HTML),
            **{key: content[key] for key in ("outcome", "verdict", "next_command", "way_back")},
        },
    )


def apply(plan: Plan) -> dict[str, Any]:
    """Write what is stale; the result is the summary."""
    for name in plan.stale:
        run_directory.write(plan.directory / name, plan.files[name])
    if plan.stale:
        run_directory.index(plan.directory)
    return dict(plan.summary)


def evidence(databases: Sequence[Facts]) -> dict[str, str]:
    """What every phase found and did, a file for each: DATABASE/PHASE.json."""
    return {
        f"{database['name']}/{phase['name']}.json": run_directory.evidence(phase)
        for database in databases
        for phase in database["phases"]
    }


def document(facts: Facts, commands: Mapping[str, str], inventory: Iterable[str], findings: Facts) -> dict[str, Any]:
    """The content of report.json."""
    databases = facts["databases"]
    outcomes = [outcome.outcome(database) for database in databases]
    kind, text = outcome.verdict(outcomes)
    commands = outcome.limited(commands, outcomes, inventory)
    return {
        "run": {key: value for key, value in facts["run"].items() if key not in ("database", "state")},
        "outcome": kind,
        "verdict": text,
        "next_command": outcome.way_on(outcomes, commands),
        "way_back": asdict(outcome.way_back(outcomes, commands)),
        "databases": [
            {
                "name": database["name"],
                "outcome": asdict(found),
                "outages": [_outage(shut) for shut in outcome.outages(database)],
                "tables": [table.as_result() for table in tables(database)],
                "preflight": findings.get(database["name"]),
                "journal": database,
            }
            for found, database in zip(outcomes, databases, strict=True)
        ],
    }


def render(content: Mapping[str, Any], databases: Sequence[Facts]) -> str:
    """report.html: one file, no script, nothing fetched from anywhere."""
    environment = Environment(
        loader=PackageLoader("consolidation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=figures.count, size=figures.size, duration=figures.duration, moment=outcome.moment, flat=_flat
    )
    return environment.get_template("report.html.j2").render(
        report=content,
        pictures=pictures(databases),
        tables={database["name"]: tables(database) for database in databases},
        verified={database["name"]: comparison(database) for database in databases},
        severities=SEVERITIES,
    )


def _preflight(directory: Path, database: str) -> str:
    """The preflight that the run began with, as its first report kept it; '' where there is none.

    Every later look, also at a database that was migrated long ago, replaces the one outside of the run directories.
    """
    for path in (directory / database / PREFLIGHT, directory.parent / "preflight" / database / PREFLIGHT):
        text = run_directory.read(path)
        if text is not None:
            try:
                json.loads(text)
            except ValueError:
                return ""
            return text
    return ""


def _outage(shut: Outage) -> dict[str, Any]:
    return {
        "closed_at": shut.closed_at.isoformat(),
        "opened_at": shut.opened_at.isoformat() if shut.opened_at else None,
        "opened": shut.opened,
        "seconds": shut.seconds,
        "services_proven_at": shut.proven_at.isoformat() if shut.proven_at else None,
        "services_seconds": shut.services_seconds,
    }


def pictures(databases: Sequence[Facts]) -> list[tuple[str, timeline.Picture]]:
    """The timelines by title, migration and rollback apart: days may lie between them."""
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
            spans.append(timeline.phase(phase["name"], phase["state"], start, end, phase["attempts"]))
    shades = tuple(
        timeline.Span("", "", shut.closed_at, shut.opened_at, _no_writes(shut)) for shut in outcome.outages(database)
    )
    return timeline.Lane(database["name"], tuple(spans), shades)


def _no_writes(shut: Outage) -> str:
    if shut.opened_at:
        through = f", through the services for {figures.duration(shut.services_seconds)}" if shut.proven_at else ""
        return f"no writes for {figures.duration(shut.seconds)}{through}"
    return f"no writes since {shut.closed_at.astimezone(UTC):%H:%M:%S}"


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
