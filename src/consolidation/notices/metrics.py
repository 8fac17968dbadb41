"""Metrics of a run in the text format that the Prometheus node exporter reads from a directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from consolidation import files
from consolidation.errors import ConfigurationError
from consolidation.journal.results import Phase
from consolidation.report import outcome
from consolidation.report.tables import comparison

PREFIX = "consolidation"
HELP = {
    "run_info": "The newest run of the database and its outcome",
    "run_started_timestamp_seconds": "When the run began",
    "phase_duration_seconds": "Duration of the last attempt of a phase",
    "rows": "Rows of the database's tables on the source, as compared",
    "copied_bytes": "Bytes that the copy carried",
    "follow_lag_seconds": "How far the target was behind the followed source in the last round",
    "write_outage_seconds": "Measured write outage, of the database and as the services' clients saw it at the most",
    "writes_refused": "1 while writers are refused",
    "verified": "1 where both sides were found equal by content after the last copy",
}

Sample = tuple[str, dict[str, str], float]


def text(report: Mapping[str, Any]) -> str:
    """Of the content of report.json."""
    samples: dict[str, list[str]] = {name: [] for name in HELP}
    for name, labels, number in _samples(report):
        shown = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        samples[name].append(f"{PREFIX}_{name}{{{shown}}} {number:.10g}\n")
    return "".join(
        f"# HELP {PREFIX}_{name} {HELP[name]}.\n# TYPE {PREFIX}_{name} gauge\n{''.join(lines)}"
        for name, lines in samples.items()
        if lines
    )


def write(path: Path, content: str) -> None:
    """Replace a file (0644: the exporter reads it) in one step. Raises ConfigurationError."""
    try:
        files.write(path, content, mode=0o644)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}", hint="check consolidation_metrics_directory on the control node"
        ) from error


def _samples(report: Mapping[str, Any]) -> Iterator[Sample]:
    started = outcome.time_of(report["run"]["started_at"])
    for database in report["databases"]:
        labels = {"database": database["name"]}
        yield "run_info", labels | {"run": report["run"]["id"], "outcome": database["outcome"]["kind"]}, 1
        if started:
            yield "run_started_timestamp_seconds", labels, started.timestamp()
        for phase in database["journal"]["phases"]:
            begun, ended = (outcome.time_of(phase[key]) for key in ("started_at", "finished_at"))
            if begun and ended:
                yield "phase_duration_seconds", labels | {"phase": phase["name"]}, (ended - begun).total_seconds()
        lag = outcome.phase(database["journal"], Phase.FOLLOW).get("result", {}).get("lag_seconds")
        if lag is not None:
            yield "follow_lag_seconds", labels, lag
        yield "rows", labels, sum(table["source_rows"] or 0 for table in database["tables"])
        yield "copied_bytes", labels, sum(table["bytes"] or 0 for table in database["tables"])
        for kind in ("outages", "service_outages"):
            seen_by = {"outages": "database", "service_outages": "services"}[kind]
            for number, outage in enumerate(database[kind]):
                if outage["seconds"] is not None:
                    of = {"seen_by": seen_by, "of": "migration" if number == 0 else "rollback"}
                    yield "write_outage_seconds", labels | of, outage["seconds"]
        yield "writes_refused", labels, any(outage["seconds"] is None for outage in database["outages"])
        yield "verified", labels, comparison(database["journal"]).get("outcome") == "equal"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
