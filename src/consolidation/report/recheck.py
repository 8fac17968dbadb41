"""What a stranger can recompute of a run directory without any server: do the report's statements follow from it?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from consolidation import evidence
from consolidation.borders import Json
from consolidation.report import outage, outcome

RIGHT, WRONG, NOT_CHECKED = "rechecked", "WRONG", "not checked"


@dataclass(frozen=True)
class Statement:
    """A statement of the report, and whether it follows from the evidence."""

    text: str
    outcome: str


def statements(directory: Path) -> Iterator[Statement]:
    """Of one run directory."""
    report = _json(directory / "report.json")
    if report is None:
        yield Statement("there is no readable report.json", NOT_CHECKED)
        return
    for database in report["databases"]:
        name, facts = database["name"], database["journal"]
        yield _phases(directory, name, facts)
        yield from _outages(name, database, facts)
        yield from _verified(name, facts)
        yield _dump(name, facts)


def _phases(directory: Path, name: str, facts: Json) -> Statement:
    files = {phase["name"]: _json(directory / name / f"{phase['name']}.json") for phase in facts["phases"]}
    wrong = [phase["name"] for phase in facts["phases"] if files[phase["name"]] != phase]
    text = f"{name}: the report has the phases as their evidence has them"
    return Statement(f"{text}; not {', '.join(wrong)}" if wrong else text, WRONG if wrong else RIGHT)


def _outages(name: str, database: Json, facts: Json) -> Iterator[Statement]:
    reported = [entry["seconds"] for entry in database["outages"]]
    found = [each.seconds for each in outage.outages(facts)]
    text = f"{name}: the write outages follow from the moments of fence and opening: {reported} s"
    yield Statement(text, RIGHT if reported == found else WRONG)
    if of_services := [entry["seconds"] for entry in database["service_outages"]]:
        seen = [each.seconds for each in outage.service_outages(facts)]
        text = f"{name}: what clients of the services saw follows from the same moments: {of_services} s"
        yield Statement(text, RIGHT if of_services == seen else WRONG)


def _verified(name: str, facts: Json) -> Iterator[Statement]:
    result = outcome.phase(facts, "verify").get("result", {})
    tables = result.get("tables") or []
    if not tables:
        yield Statement(f"{name}: no comparison by content", NOT_CHECKED)
        return
    unequal = [
        table["name"]
        for table in tables
        if (table.get("source_digest"), table.get("source_rows"))
        != (table.get("target_digest"), table.get("target_rows"))
    ]
    claims = result.get("outcome") == "equal"
    same = "DIFFERENT" if unequal else "the same"
    text = f"{name}: {len(tables)} tables have {same} counts and digests on both sides"
    yield Statement(text, WRONG if claims and unequal else RIGHT)


def _dump(name: str, facts: Json) -> Statement:
    result = outcome.phase(facts, "backup").get("result", {})
    path = Path(str(result.get("directory", ""))) / "manifest.json"
    if not result.get("manifest_sha256") or not path.is_file():
        return Statement(f"{name}: the dump is not on this machine", NOT_CHECKED)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = f"{name}: the manifest of the dump is the one of the run"
    return Statement(text, RIGHT if digest == result["manifest_sha256"] else WRONG)


def _json(path: Path) -> Json | None:
    try:
        found: Json = json.loads(evidence.read(path) or "")
    except ValueError:
        return None
    return found
