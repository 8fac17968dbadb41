"""The report of a run: report.json for machines, report.html for people, from the journal's facts and the evidence.

Pure but for the files it writes: the same facts give the same bytes, so a second report changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from consolidation import evidence as run_directory
from consolidation.borders import Json
from consolidation.journal.results import Phase
from consolidation.report import commands as next_commands
from consolidation.report import left, outage, outcome, page, services, unchecked
from consolidation.report.outcome import Facts
from consolidation.report.tables import tables

HTML, JSON = "report.html", "report.json"
PREFLIGHT = "preflight.json"


@dataclass(frozen=True)
class Plan:
    """The files of a run's report, and which of them are not there yet as they should be."""

    directory: Path
    files: Mapping[str, str]
    stale: tuple[str, ...]
    summary: Mapping[str, Any]
    """run_id, outcome, verdict, next, rollbacks, outages and path; empty where there was no run."""

    @property
    def changed(self) -> bool:
        """Whether any file would be written."""
        return bool(self.stale)

    def diff(self) -> dict[str, str]:
        """The files that would be written."""
        return {"prepared": "".join(f"{self.directory / name}\n" for name in self.stale)}


def plan(facts: Facts, base: str | Path, commands: Mapping[str, str], inventory: Collection[str]) -> Plan:
    """The report of the run that the journal's facts are of, below the folder of the run directories.

    ``commands`` are the operator's full command lines, keys ``migrate`` and ``rollback``, for all databases of the
    ``inventory``.
    """
    if facts["run"] is None:
        return Plan(Path(base), {}, (), {})
    run_id = facts["run"]["id"]
    known = run_directory.directories(base, run_id)
    preflights = {database["name"]: _preflight(Path(base), known, database["name"]) for database in facts["databases"]}
    findings = {name: _findings(texts) for name, texts in preflights.items() if PREFLIGHT in texts}
    kept = Kept(findings, _events(base, facts), services.read(known))
    content = document(facts, commands, inventory, kept)
    # The newest report may be in a directory that is closed: it stays as it is, and what is new goes beside it.
    latest = next((found for found in reversed(known) if (found / JSON).exists()), None)
    written = _as_written(latest, content)
    files = {
        **evidence(facts["databases"]),
        **{f"{name}/{file}": text for name, texts in preflights.items() for file, text in texts.items()},
        JSON: json.dumps(written, indent=2, ensure_ascii=False) + "\n",
    }
    files[HTML] = page.render(written, facts["databases"], _digests(files, known))
    stale = _stale(latest, files) if latest else tuple(files)
    directory = run_directory.directory_of(base, run_id) if stale or latest is None else latest
    return Plan(
        directory=directory,
        files=files,
        stale=_stale(directory, files),
        summary={
            "run_id": run_id,
            "path": str(directory / HTML),
            **{key: content[key] for key in ("outcome", "verdict", "next", "rollbacks")},
            "outages": {
                database["name"]: {key: database[key] for key in ("outages", "service_outages")}
                for database in content["databases"]
            },
        },
    )


def _as_written(latest: Path | None, content: Json) -> Json:
    """What the newest report has, where only its command lines differ: a look with other options is no news."""
    text = run_directory.read(latest / JSON) if latest else None
    try:
        written: Json = json.loads(text or "{}")
        return written if _news(written) == _news(json.loads(json.dumps(content))) else content
    except (ValueError, TypeError, AttributeError):  # no report of ours
        return content


def _news(content: Json) -> Json:
    """Without what an operator would type next."""
    steps = {key: [step | {"command": ""} for step in content.get(key, [])] for key in ("next", "rollbacks")}
    return content | steps


def _events(base: str | Path, facts: Facts) -> list[Facts]:
    """Of the run: the commands that came after the last news of the journal have changed nothing."""
    moments = [str(database.get("changed_at") or "") for database in facts["databases"]]
    moments += [
        str(phase[key] or "")
        for database in facts["databases"]
        for phase in database["phases"]
        for key in ("started_at", "finished_at")
    ]
    last = max((moment for text in moments if (moment := outcome.time_of(text))), default=None)
    found: list[Facts] = []
    has_command = False
    for event in run_directory.events(base, facts["run"]["id"]):
        is_command = event.get("event") == run_directory.COMMAND
        at = outcome.time_of(event.get("at"))
        if not is_command or not has_command or (at is not None and last is not None and at <= last):
            found.append(event)
        has_command = has_command or is_command
    return found


def _digests(files: Mapping[str, str], known: Sequence[Path]) -> dict[str, str]:
    """Name -> SHA-256 of the evidence that is complete: not of the log, which goes on."""
    found = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    for directory in known:  # a later call on a finished run has a directory of its own, without the hosts' evidence
        for path in sorted(directory.glob("*/*config-*.json")):
            text = run_directory.read(path) or ""
            found[str(path.relative_to(directory))] = hashlib.sha256(text.encode()).hexdigest()
    return dict(sorted(found.items()))


def _stale(directory: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name, text in files.items() if run_directory.read(directory / name) != text)


def apply(plan: Plan) -> Json:
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


@dataclass(frozen=True)
class Kept:
    """What the run directories hold beside the journal's facts."""

    findings: Mapping[str, Facts]
    """Database -> the preflight that the run began with."""
    events: Sequence[Facts]
    services: Mapping[str, Sequence[Facts]]
    """Database -> its services."""


def document(facts: Facts, commands: Mapping[str, str], inventory: Collection[str], kept: Kept) -> Json:
    """The content of report.json."""
    databases = facts["databases"]
    outcomes = [outcome.outcome(database, kept.events) for database in databases]
    kind, text = outcome.verdict(outcomes)
    return {
        "run": {key: value for key, value in facts["run"].items() if key not in ("database", "state")},
        "outcome": kind,
        "verdict": text,
        "next": [asdict(found) for found in next_commands.next_steps(outcomes, commands, inventory)],
        "rollbacks": [asdict(found) for found in next_commands.rollbacks(outcomes, commands, inventory)],
        "events": list(kept.events),
        "databases": [_database(found, database, kept) for found, database in zip(outcomes, databases, strict=True)],
    }


def _database(found: outcome.Outcome, database: Facts, kept: Kept) -> Json:
    name = database["name"]
    of_services = kept.services.get(name, [])
    has_services = bool(of_services or outcome.phase(database, Phase.CUTOVER_SERVICES))
    return {
        "name": name,
        "outcome": asdict(found),
        "outages": [_outage(shut) for shut in outage.outages(database)],
        "aborted": [_outage(shut) for shut in outage.aborted(database)],
        "service_outages": [_service_outage(shut) for shut in outage.service_outages(database)] if has_services else [],
        "services": list(of_services),
        "not_checked": list(unchecked.not_checked(database, kept.findings.get(name), has_services=has_services)),
        "left": list(left.left(database)),
        "tables": [table.as_result() for table in tables(database)],
        "preflight": kept.findings.get(name),
        "journal": database,
    }


def _preflight(base: Path, known: Sequence[Path], database: str) -> dict[str, str]:
    """The preflight that the run began with, as its first report kept it: file -> text; empty where there is none.

    Every later look, also at a database that was migrated long ago, replaces the one outside of the run directories.
    Those of the services' hosts are beside it.
    """
    for folder in (*(directory / database for directory in known), base / "preflight" / database):
        if (folder / PREFLIGHT).exists():
            texts = {path.name: run_directory.read(path) or "" for path in sorted(folder.glob("preflight*.json"))}
            return {name: text for name, text in texts.items() if _is_json(text)}
    return {}


def _findings(texts: Mapping[str, str]) -> Json:
    """The preflight of a database, with the findings of its services' hosts."""
    found: Json = json.loads(texts[PREFLIGHT])
    of_hosts = [json.loads(text).get("findings", []) for name, text in texts.items() if name != PREFLIGHT]
    return found | {"findings": [*found.get("findings", []), *(each for findings in of_hosts for each in findings)]}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _outage(shut: outage.Outage) -> Json:
    return {
        "closed_at": shut.closed_at.isoformat(),
        "opened_at": shut.opened_at.isoformat() if shut.opened_at else None,
        "opened": shut.opened,
        "seconds": shut.seconds,
    }


def _service_outage(shut: outage.ServiceOutage) -> Json:
    return {
        "closed_at": shut.closed_at.isoformat(),
        "back_at": shut.back_at.isoformat() if shut.back_at else None,
        "seen": shut.seen,
        "seconds": shut.seconds,
    }
