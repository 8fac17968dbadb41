"""The page: its content for machines, and how it is shown on the terminal and in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from consolidation import evidence
from consolidation import text as figures
from consolidation.borders import Json
from consolidation.report.outcome import moment
from consolidation.review.collect import CONFIGURATION, KINDS, Collector, Database
from consolidation.review.expect import expect

DIRECTORY, HTML, JSON = "plan", "plan.html", "plan.json"
LABEL_WIDTH = 10
BEFORE, LOADING = ("backup", "schema"), ("copy", "verify")
MIGRATE, ROLLBACK, FINALIZE = "migrate.yml", "rollback.yml", "finalize.yml"
NO_RETURN = {
    MIGRATE: (
        "Until the cutover: none. rollback.yml opens the source again within seconds, nothing has to be brought back.",
        "From the cutover on: rollback.yml brings the new writes back first, which takes as long as they are many.",
        "This command removes no source and no dump; finalize.yml does: from then on there is no rollback.",
    ),
    ROLLBACK: (
        "Until the source is open: none. playbooks/cancel_rollback.yml opens the storage database again.",
        "Once it is open: the source takes writes; migrate.yml begins a new run, which loads everything again.",
    ),
    FINALIZE: ("Once the source is retired there is no rollback: rollback.yml refuses.",),
}
"""By playbook; the others have none of their own."""
NOT_CHECKED = (
    "How long open transactions keep the fence waiting: the run gives up after its timeout and names them.",
    "Load and network at the time of the window.",
)
NOT_CHECKED_OF_MIGRATE = (
    "That the dump restores, the copy is equal and the services work: the run checks these itself, and stops.",
)
NOT_ESTIMATED = "not estimated: this look has measured no table"


def content(found: Collector, base: Path, playbook: str, command: str, now: datetime) -> Json:
    """plan.json."""
    return {
        "at": now.isoformat(timespec="seconds"),
        "playbook": playbook,
        "command": command,
        "databases": [_database(each, base) for _, each in sorted(found.databases.items())],
        "no_return": list(NO_RETURN.get(playbook, ())),
        "not_checked": [*(NOT_CHECKED_OF_MIGRATE if playbook == MIGRATE else ()), *NOT_CHECKED],
    }


def _database(found: Database, base: Path) -> Json:
    size = sum(table.get("bytes") or 0 for table in found.tables)
    restarted = [change.title for change in found.changes if change.kind == CONFIGURATION]
    counts = {
        severity: sum(each.get("severity") == severity for each in found.findings)
        for severity in ("blocker", "warning", "info")
    }
    return {
        "name": found.name,
        "tables": len(found.tables),
        "rows": sum(table.get("rows") or 0 for table in found.tables),
        "bytes": size,
        "online": found.online,
        **_expected(found, size, base),
        "revisions": found.revisions,
        "changes": [vars(change) for change in sorted(found.changes, key=lambda each: KINDS.index(each.kind))],
        "restarted_with": restarted,
        "refused": [str(table["name"]) for table in found.tables],
        "findings": found.findings,
        "counts": counts,
    }


def _expected(found: Database, size: int, base: Path) -> Json:
    """How long it takes; None where no table was measured, as in a rollback: its time is not the migration's."""
    if not found.tables:
        nothing = dict.fromkeys(("expected_outage_seconds", "expected_total_seconds"))
        return {"expected_seconds": {}, **nothing, "basis": NOT_ESTIMATED}
    expected = expect(found.name, size, base, online=found.online)
    loading = () if set(LOADING) <= set(expected.outage) else LOADING
    return {
        "expected_seconds": {phase: expected.seconds.get(phase) for phase in (*BEFORE, *loading, *expected.outage)},
        "expected_outage_seconds": expected.outage_seconds,
        "expected_total_seconds": expected.total_seconds,
        "basis": expected.basis,
    }


def write(plan: Mapping[str, Any], base: Path) -> Path:
    """plan.json, plan.html and their index, in the folder of the run directories; where the page is."""
    directory = base / DIRECTORY
    evidence.write(directory / JSON, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")
    evidence.write(directory / HTML, render(plan))
    evidence.index(directory)
    return directory / HTML


def render(plan: Mapping[str, Any]) -> str:
    """plan.html: one file, no script, nothing fetched from anywhere."""
    environment = Environment(
        loader=PackageLoader("consolidation.review"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=figures.count, size=figures.size, duration=figures.duration, moment=moment)
    css = PackageLoader("consolidation.report").get_source(environment, "report.css")[0]
    return environment.get_template("plan.html.j2").render(plan=plan, css=css)


def lines(plan: Mapping[str, Any], *, texts: bool) -> Iterator[str]:
    """The page for the terminal; ``texts``: with the SQL and the diffs."""
    names = ", ".join(database["name"] for database in plan["databases"])
    yield f"{'PLAN':{LABEL_WIDTH}} {names}: this was a look, nothing was changed"
    for database in plan["databases"]:
        yield from _lines_of(database, texts=texts)
    yield from _listed("No return", plan["no_return"])
    yield from _listed("Not known", plan["not_checked"])


def _lines_of(database: Mapping[str, Any], *, texts: bool) -> Iterator[str]:
    yield ""
    yield f"{database['name']}"
    yield from _sizes_and_times(database)
    if database["revisions"]:
        yield f"{'Revisions':{LABEL_WIDTH}} {', '.join(database['revisions'])}"
    for change in database["changes"]:
        yield f"{change['kind'].capitalize():{LABEL_WIDTH + 4}} {change['step']}: {_brief(change)}"
        if texts:
            yield from (f"{'':{LABEL_WIDTH + 6}} {line}" for line in change["text"].splitlines())
    restarts = database["restarted_with"]
    if restarts:
        services = f"{len(restarts)} service{'' if len(restarts) == 1 else 's'}"
        yield f"{'Restarts':{LABEL_WIDTH}} {services}, each with the configuration above and its release"
    counts = ", ".join(
        f"{number} {severity}{'' if number == 1 else 's'}" for severity, number in database["counts"].items()
    )
    yield f"{'Findings':{LABEL_WIDTH}} {counts}"
    for finding in database["findings"]:
        if finding.get("severity") != "info":
            found = f"{finding['severity']} {finding['id']} {finding.get('subject', '')}: {finding.get('what', '')}"
            yield f"{'':{LABEL_WIDTH}} {found}"


def _sizes_and_times(database: Mapping[str, Any]) -> Iterator[str]:
    if not database["tables"]:
        yield f"{'Time':{LABEL_WIDTH}} {database['basis']}"
        return
    tables = f"{figures.count(database['tables'])} tables"
    rows, size = figures.count(database["rows"]), figures.size(database["bytes"])
    yield f"{'Size':{LABEL_WIDTH}} {tables}, about {rows} rows, {size}"
    yield (
        f"{'Outage':{LABEL_WIDTH}} writes to {tables} are refused for about"
        f" {figures.duration(database['expected_outage_seconds'])}; reads go on"
    )
    phases = ", ".join(
        f"{phase} {figures.duration(seconds)}"
        for phase, seconds in database["expected_seconds"].items()
        if seconds is not None
    )
    yield f"{'Time':{LABEL_WIDTH}} about {figures.duration(database['expected_total_seconds'])}: {phases}"
    yield f"{'':{LABEL_WIDTH}} {database['basis']}"


def _brief(change: Mapping[str, Any]) -> str:
    text: list[str] = change["text"].splitlines()
    return change["title"] if change["title"] != change["step"] else f"{len(text)} line{'' if len(text) == 1 else 's'}"


def _listed(label: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield ""
    for number, sentence in enumerate(sentences):
        yield f"{label if number == 0 else '':{LABEL_WIDTH}} {sentence}"
