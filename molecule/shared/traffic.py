"""Clients of the services on the scenario's hosts, and the check of every acknowledged write.

    python molecule/shared/traffic.py run DIRECTORY NAME=URL ...     write until DIRECTORY/stop exists
    python molecule/shared/traffic.py check [--longest SECONDS] DIRECTORY ROWS ...

ROWS: files of `psql` with one JSON row per line. SECONDS: the longest time in which no write may be acknowledged.

The clients, their ledger and the checker are those of the demo.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from demo import checker, ledger  # noqa: E402 - the demo is no installed package
from demo.traffic import Traffic  # noqa: E402

LONGEST_SECONDS = 1800


def run(directory: Path, services: dict[str, str]) -> None:
    """Write through the services until the file `stop` appears; `done` says that it ended.

    Ends with its directory, too: a scenario that failed ends its clients with it.
    """
    deadline = time.monotonic() + LONGEST_SECONDS
    with Traffic(services, directory / "ledger.jsonl"):
        while directory.exists() and not (directory / "stop").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
    if directory.exists():
        (directory / "done").touch()


def rows_of(files: Iterable[Path]) -> checker.Rows:
    """The rows that clients wrote, from lines {"table": …, "row": {…}}."""
    found: dict[str, dict[str, list[checker.Row]]] = {table: defaultdict(list) for table in ledger.TOKENS}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            table, row = (json.loads(line)[key] for key in ("table", "row"))
            state = (ledger.digest(table, row), row["is_deleted"])
            found[table][row[ledger.TOKENS[table]]].append(checker.Row(row["id"], state))
    return found


def check(directory: Path, files: Iterable[Path], longest: float) -> None:
    """Print what became of the writes, and the outages; exit code 1 when an acknowledged write is missing or altered.
    Likewise when a service took no write for more than `longest` seconds.

    Clients that wrote earlier in the scenario, with ledgers in folders beside this one, are judged again.
    """
    operations = ledger.read(directory / "ledger.jsonl")
    everything = [operation for path in directory.parent.glob("*/ledger.jsonl") for operation in ledger.read(path)]
    verdicts = checker.check(everything, rows_of(files))
    for service, verdict in sorted(verdicts.items()):
        counts = f"{verdict.acknowledged} writes acknowledged, {verdict.refused} refused, {verdict.unknown} unknown"
        faults = {name: len(getattr(verdict, name)) for name in ("missing", "duplicated", "altered", "uncalled")}
        print(f"{service}: {counts}; {faults}")  # noqa: T201 - the scenario reads it
    outages = checker.outages(operations, operations[0].sent, operations[-1].answered)
    for outage in outages:
        failed = sum(outage.errors.values())
        waited = f"no write was acknowledged for {outage.seconds or 0:.1f} s"
        print(f"{outage.service}: {waited}, {failed} failed")  # noqa: T201 - see above
    wrong = [token for verdict in verdicts.values() for token in verdict.wrong]
    if wrong or any(not verdict.acknowledged for verdict in verdicts.values()):
        sys.exit(f"acknowledged writes are missing or altered: {', '.join(wrong[:5]) or 'nothing was acknowledged'}")
    if late := [outage.service for outage in outages if outage.seconds is None or outage.seconds > longest]:
        sys.exit(f"no write of {' and '.join(late)} was acknowledged for more than {longest} s")


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "check"):
        command = commands.add_parser(name)
        command.add_argument("directory", type=Path)
        command.add_argument("rest", nargs="+")
    command.add_argument("--longest", type=float, default=LONGEST_SECONDS)
    given = parser.parse_args()
    if given.command == "run":
        run(given.directory, dict(each.split("=", 1) for each in given.rest))
    else:
        check(given.directory, map(Path, given.rest), given.longest)


if __name__ == "__main__":
    main()
