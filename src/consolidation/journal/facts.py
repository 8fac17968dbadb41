"""Everything the journal knows of the newest run of a database, as JSON values: what the report is written from."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.journal import records, state
from consolidation.model import SOURCE, Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import Row, dicts, query


def read(database: Database) -> Json:
    """The newest run of a database, with every database of that run.

    ``run`` (Run.as_result, ``runbook_version``, ``target_version``; None where there was no run yet) and ``databases``:
    name, state, changed_at (of the state), active, phases (by start), loads (by table) and throughput of the copy; of
    this database ``authoritative`` (the side that may hold rows which the other has not) and ``active``. Times are
    ISO 8601 with zone. Reads one snapshot, writes nothing. Raises ConnectionFailed, StatementFailed.
    """
    with session(database.target, "journal facts") as conn:
        conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
        run = records.latest_run(conn, database.name)
        if run is None:
            return {"run": None, "databases": [], "authoritative": SOURCE, "active": False}
        found = dicts(conn, query("journal/run_databases"), {"run": run.id, "space": records.LOCK_SPACE})
        versions = {key: found[0][key] for key in ("runbook_version", "target_version")}
        databases = [_database(conn, replace(run, database=row["database"]), row) for row in found]
        authoritative = state.read(conn, database).authoritative
    active = any(each["active"] for each in databases if each["name"] == database.name)
    about = {"authoritative": authoritative, "active": active}
    return {"run": {**run.as_result(), **versions}, "databases": databases, **about}


def _database(conn: Connection, run: records.Run, row: Row) -> Json:
    loads = dicts(conn, query("copy/load_figures"), [run.id, run.database])
    return {
        "name": run.database,
        "state": row["state"],
        "changed_at": row["changed_at"].isoformat(),
        "active": row["active"],
        "phases": [_json(asdict(phase)) for phase in records.phases(conn, run).values()],
        "loads": loads,
        "throughput": [_json(each) for each in dicts(conn, query("copy/throughput"), [run.id, run.database])],
    }


def _json(record: Row) -> Json:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in record.items()}
