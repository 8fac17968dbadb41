"""What the copy's queue costs at sizes that no test has: real PostgreSQL, workers that load nothing.

    python -m bench.chunk_queue

Workers take chunks and mark them as done with the statements of the copy, a transaction a chunk, until none is left.
Autovacuum is on, as on a server in production. Printed: chunks a second in the first tenth, over all, in the last
tenth, and the time of one claim; results/chunk_queue.json keeps them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2

from consolidation.journal.records import LOCK_SPACE
from consolidation.lineage.alembic import upgrade
from consolidation.postgres.connection import Settings, connect
from consolidation.postgres.queries import query
from demo.servers import SUPERUSER, Server, installations

RESULT = Path(__file__).parent / "results" / "chunk_queue.json"
RUN = {"run_id": "bench", "database": "bench_db"}
TABLES = 100
FILL = """
INSERT INTO consolidation.run (id, operator, control, version) VALUES ('bench', 'bench', '{}', '0');
INSERT INTO consolidation.run_database (run_id, database, state) VALUES ('bench', 'bench_db', 'migrating');
INSERT INTO consolidation.phase (run_id, database, name, state, started_at)
    VALUES ('bench', 'bench_db', 'copy', 'running', now());
INSERT INTO consolidation.table_load (run_id, database, table_name, state, deferred, "binary", started_at)
    SELECT 'bench', 'bench_db', 't' || t, 'loading', '[]', true, now() FROM generate_series(1, %(tables)s) t;
INSERT INTO consolidation.chunk (run_id, database, table_name, number, low, high, estimated_bytes)
    SELECT 'bench', 'bench_db', 't' || n %% %(tables)s + 1, n, '(0,0)', '(8192,0)', 67108864 - n %% 7
    FROM generate_series(1, %(chunks)s) n;
"""


def work(settings: Settings, lead: int) -> list[tuple[float, float]]:
    """One worker: when each of its chunks was done, and how long it took to claim it, in seconds."""
    done = []
    conn = connect(settings, "bench")
    claim, mark = query("copy/claim_chunk") + "SKIP LOCKED", query("copy/chunk_done")
    figures = {"rows": 1, "bytes": 1, "digest": 1, "seconds": 0, "worker": "bench"}
    with conn.cursor() as cursor:
        while True:
            begun = time.time()
            cursor.execute(claim, RUN)
            chunk = cursor.fetchone()
            if chunk is None:
                break
            claimed = time.time() - begun
            named = {"table": chunk[0], "number": chunk[1], "attempt": 1, "lead": lead, "space": LOCK_SPACE}
            cursor.execute(mark, {**RUN, **named, **figures})
            if cursor.rowcount != 1:
                raise RuntimeError("the chunk was not marked: the queue has no lead")
            conn.commit()
            done.append((time.time(), claimed))
    conn.close()
    return done


def measure(chunks: int, workers: int) -> dict[str, Any]:
    """Figures of one queue that is worked off. Raises ServerError."""
    with tempfile.TemporaryDirectory(prefix="bench-queue-") as name:
        Path(name).chmod(0o711)
        server = Server.create("queue", max(installations()), Path(name) / "server", {"max_connections": "200"})
        try:
            settings = Settings(
                server.host, "postgres", SUPERUSER, server.port, str(server.passfile), sslmode="disable"
            )
            upgrade(settings, "journal")
            with psycopg2.connect(**settings.keywords()) as lead, lead.cursor() as cursor:
                cursor.execute(FILL, {"tables": TABLES, "chunks": chunks})
                cursor.execute("SELECT pg_advisory_lock(%s, hashtext('bench_db'))", [LOCK_SPACE])
                lead.commit()
                begun = time.time()
                with ProcessPoolExecutor(workers) as pool:
                    jobs = [pool.submit(work, settings, lead.info.backend_pid) for _ in range(workers)]
                    done = sorted(one for job in jobs for one in job.result())
            return _figures(done, begun, workers)
        finally:
            server.destroy()


def _figures(done: list[tuple[float, float]], begun: float, workers: int) -> dict[str, Any]:
    moments, claims = [moment for moment, _ in done], [claim for _, claim in done]
    tenth = len(done) // 10
    return {
        "chunks": len(done),
        "workers": workers,
        "seconds": round(moments[-1] - begun, 1),
        "per_second": round(len(done) / (moments[-1] - begun)),
        "per_second_first_tenth": round(tenth / (moments[tenth - 1] - begun)),
        "per_second_last_tenth": round(tenth / (moments[-1] - moments[-tenth])),
        "claim_p50_ms": round(statistics.median(claims) * 1000, 2),
        "claim_p99_ms": round(sorted(claims)[int(len(claims) * 0.99)] * 1000, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chunks", type=int, nargs="+", default=[1_500, 15_000, 150_000])
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    found = []
    for chunks in arguments.chunks:
        found.append(measure(chunks, arguments.workers))
        print(json.dumps(found[-1]), flush=True)
    arguments.json.write_text("[\n" + ",\n".join(f"  {json.dumps(line)}" for line in found) + "\n]\n")


if __name__ == "__main__":
    main()
