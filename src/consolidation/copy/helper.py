"""An additional copy host: its workers take chunks from the coordinator's queue.

The queue is the journal's: a chunk is locked by who loads it, and commits with its mark, only as long as the
coordinator holds its lock (``chunk_done``). So such a host may come late, or never, or die: the coordinator's own
workers load what is left.
"""

from __future__ import annotations

import time

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.copy.pool import Queue, host, started
from consolidation.errors import CopyError, StepRefused
from consolidation.installation import fingerprint
from consolidation.journal import records
from consolidation.journal.phase import Work
from consolidation.model import Database
from consolidation.postgres.connection import session
from consolidation.postgres.queries import Row, dicts, query

LOOK_SECONDS = 0.2


def publish(work: Work, snapshot: str) -> Queue:
    """Say in the journal that the chunks of this copy may be taken."""
    keys = {"run_id": work.run.id, "database": work.run.database}
    [said] = dicts(work.journal, query("copy/queue_publish"), {**keys, "snapshot": snapshot, "packages": fingerprint()})
    return Queue(work.run.id, snapshot, **said)


def loaded_by_host(target: Connection, run_id: str, database: str) -> list[Row]:
    """Chunks, rows and bytes that every host has loaded in a run."""
    return dicts(target, query("copy/host_figures"), {"run_id": run_id, "database": database})


def join(database: Database, workers: int, wait_seconds: float) -> Json:
    """Load chunks until none is left, with ``workers`` processes; waits for the coordinator to queue them.

    Raises CopyError where workers failed, StepRefused.
    """
    with started(workers) as processes:
        queue = _await(database, wait_seconds) if database.strategy.two_copies else None
        if queue is None:
            return {"chunks": 0, "rows": 0, "bytes": 0, "msg": f"{database.name}: {host()} found nothing to load"}
        errors = processes.run(database, queue)
    with session(database.target, "copy helper") as target:
        by_host = {row["host"]: row for row in loaded_by_host(target, queue.run_id, database.name)}
    found = by_host.get(host(), {"chunks": 0, "rows": 0, "bytes": 0})
    if errors:
        raise CopyError(
            f"{database.name}: {host()}: {len(errors)} of {workers} workers stopped: {'; '.join(sorted(set(errors)))}",
            hint="the coordinator copies the rest; correct what each worker reports before the next run",
            facts=found,
        )
    return {**found, "msg": f"{database.name}: {host()} has loaded {found['chunks']} chunks, {found['rows']} rows"}


def _await(database: Database, wait_seconds: float) -> Queue | None:
    """The queue of the copy that is under way, or begins in time; None where there is nothing to load."""
    deadline = time.monotonic() + wait_seconds
    with session(database.target, "copy helper", autocommit=True) as target:
        run = records.current_run(target, database.name, records.MIGRATING, records.MIGRATED)
        keys = {"run_id": run.id, "database": run.database, "space": records.LOCK_SPACE}
        while time.monotonic() < deadline:
            found = dicts(target, query("copy/queue_look"), keys)
            if found and (found[0]["state"] == "done" or (found[0]["is_led"] and not found[0]["waiting"])):
                return None
            if found and found[0]["is_led"]:
                _require_same_packages(database, found[0]["packages"])
                return Queue(run.id, found[0]["snapshot"], found[0]["attempt"], found[0]["lead"])
            time.sleep(LOOK_SECONDS)
    raise CopyError(
        f"{database.name}: {host()} was to help, but no copy began within {wait_seconds:g} s",
        hint="read what the coordinator reports; the copy continues without this host",
    )


def _require_same_packages(database: Database, packages: str) -> None:
    if packages != fingerprint():
        raise StepRefused(
            f"{database.name}: {host()} has other packages than the runner that coordinates the copy",
            hint="run ansible-playbook playbooks/runner.yml with the same inventory before the next run",
        )
