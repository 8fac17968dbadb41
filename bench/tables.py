"""What a table costs however few rows it has: one migration of many small tables, phase by phase.

    python -m bench.tables

results/tables.json has the seconds of each phase, for each number of tables.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.place import RUNBOOK, Place, choose_version, place
from bench.product import Product
from consolidation.backup import phase as backup
from consolidation.preflight import phase as preflight
from consolidation.schema import built
from demo import roles

RESULT = Path(__file__).parent / "results" / "tables.json"
NAME = "tables"
TABLE = """
CREATE TABLE "table {n}" (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz, doc jsonb, amount numeric(12, 2));
CREATE INDEX ON "table {n}" (name);
"""
ROWS = """INSERT INTO "table {n}"
    SELECT i, md5(i::text), '2026-03-29 00:00Z'::timestamptz + i * '1 s'::interval, jsonb_build_object('i', i), i / 7.0
      FROM generate_series(1, {rows}) i;"""


def measure(here: Place, tables: int, rows: int) -> dict[str, Any]:
    """Seconds of each phase."""
    roles.create_source(here.source, NAME)
    ddl = "".join(TABLE.format(n=n) for n in range(tables))
    here.execute(here.source, f'SET ROLE "{NAME}_owner"; {ddl}', NAME)
    for n in range(tables):
        here.execute(here.source, f'SET ROLE "{NAME}_owner"; ' + ROWS.format(n=n, rows=rows), NAME)
    here.execute(here.source, "VACUUM (FREEZE, ANALYZE)", NAME)
    here.drop_target("storage")
    roles.create_target(here.target, "storage")
    window = Product(
        NAME, here.settings(here.source, NAME, RUNBOOK), here.settings(here.target, "storage", RUNBOOK), here.streams
    )
    seconds: dict[str, float] = {}

    def timed(name: str, work: Any) -> None:
        begun = time.monotonic()
        work()
        seconds[name] = round(time.monotonic() - begun, 2)

    dumps = Path(tempfile.mkdtemp(dir=here.directory))
    options = preflight.Options(dumps, here.source.bin, None, None)
    timed("preflight", lambda: preflight.examine(window.database, options))
    timed("prepare", lambda: window.prepare(ddl))
    timed("backup", lambda: backup.apply(backup.plan(window.database, dumps, here.source.bin)))
    timed("compare_definitions", lambda: built.look(window.database))
    timed("copy", window.copy)
    timed("verify", window.verify)
    here.execute(here.source, f'DROP DATABASE "{NAME}" WITH (FORCE)')
    return {"tables": tables, "rows_each": rows, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rows", type=int, default=1000, help="of each table (1000)")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    found = []
    with place(choose_version(None), 2, Path("/var/tmp")) as here:  # noqa: S108 - a new private directory below it
        for tables in arguments.tables:
            found.append(measure(here, tables, arguments.rows))
            print(json.dumps(found[-1]), flush=True)
    arguments.json.write_text("[\n" + ",\n".join(f"  {json.dumps(line)}" for line in found) + "\n]\n")


if __name__ == "__main__":
    main()
