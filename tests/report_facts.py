"""Journal facts as `journal_facts.read` returns them, for the tests of the report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from consolidation import __version__

START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
ORDER = (
    "backup",
    "schema",
    "fence",
    "copy",
    "verify",
    "cutover",
    "rollback_fence",
    "reconcile",
    "rollback_open",
)
SECONDS = {"backup": 41.0, "schema": 1.2, "fence": 0.4, "copy": 12.6, "verify": 6.1, "cutover": 0.7}


def at(seconds: float) -> str:
    """That many seconds after the run began."""
    return (START + timedelta(seconds=seconds)).isoformat()


def table(name: str, rows: int = 20_000, **more: Any) -> dict[str, Any]:
    """The entry of a table in the result of `verify`."""
    return {"name": name, "source_rows": rows, "target_rows": rows, "outcome": "equal", **more}


def phases(
    last: str, state: str = "done", error: str | None = None, tables: Any = (), sequences: Any = ()
) -> list[dict[str, Any]]:
    """All phases up to `last`, which is in that state; a rollback begins an hour after the run."""
    found = []
    now = 0.0
    for name in ORDER[: ORDER.index(last) + 1]:
        if name == "rollback_fence":
            now = 3600.0
        seconds = SECONDS.get(name, 2.0)
        ended = name != last or state != "running"
        result: dict[str, Any] = {}
        if name in ("fence", "rollback_fence"):
            result = {"closed_at": at(now + 0.3), "seconds": 0.3}
        if name == "copy":
            result = {
                "tables": [
                    {"name": entry["name"], "rows": entry["source_rows"], "bytes": 81_000_000, "seconds": 3.2}
                    for entry in tables
                ]
            }
        if name == "verify":
            result = {"tables": list(tables), "sequences": list(sequences), "faults": []}
        if name in ("cutover", "rollback_open"):
            result = {"opened_at": at(now + seconds - 0.1)}
        found.append(
            {
                "name": name,
                "state": state if name == last else "done",
                "attempts": 1,
                "started_at": at(now),
                "finished_at": at(now + seconds) if ended else None,
                "result": {} if name == last and state == "running" else result,
                "error": error if name == last else None,
            }
        )
        now += seconds + 0.5
    return found


def database(
    name: str = "campaign_db", state: str = "migrated", last: str = "cutover", phase_state: str = "done", **more: Any
) -> dict[str, Any]:
    """One database of a run."""
    active = more.pop("active", False)
    return {"name": name, "state": state, "active": active, "phases": phases(last, phase_state, **more), "loads": []}


def with_services(database: dict[str, Any], proven: float = 66.6) -> dict[str, Any]:
    """The same, its services repointed and seen to write that many seconds after the run began."""
    records = database["phases"]
    place = 1 + next(place for place, record in enumerate(records) if record["name"] == "cutover")
    proof = records[place - 1] | {
        "name": "cutover_services",
        "started_at": at(proven),
        "finished_at": at(proven + 5),
        "result": {"written_at": at(proven), "rows": 1},
    }
    return database | {"phases": [*records[:place], proof, *records[place:]]}


def journal(*databases: dict[str, Any], run_id: str = "20261122T020000Z") -> dict[str, Any]:
    """The facts of a run."""
    run = {
        "id": run_id,
        "database": databases[0]["name"],
        "state": databases[0]["state"],
        "operator": "ops@control",
        "control": {"host": "control", "pid": 4242, "started": 1},
        "started_at": at(0),
        "runbook_version": __version__,
        "target_version": "18.4",
    }
    return {"run": run, "databases": list(databases)}
