"""python -m bench: how fast the copy and its verification are, beside what else there is, on this machine."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from pathlib import Path

from bench import datasets, growth, measure, overhead
from bench.datasets import Dataset
from bench.place import BenchError, choose_version, place
from consolidation.errors import ConsolidationError

RESULTS = Path(__file__).parent / "results"
COPIES_ON_DISK = 6
"""Source, target, the dump and the WAL of both, of one data set."""


def main() -> int:
    """Exit code: 0 measured, 1 could not, 130 interrupted. A bar that does not hold is a result, not an error."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the servers have to go then too
    try:
        _run(arguments)
    except (BenchError, ConsolidationError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nInterrupted; the servers are gone. The data sets that were done stand in the results.", file=sys.stderr
        )
        return 130
    print(f"The results are in {arguments.results}")
    return 0


def _run(arguments: argparse.Namespace) -> None:
    wanted = arguments.mode
    sizes = sorted(arguments.sizes)
    if wanted in ("all", "copy", "growth"):
        with place(choose_version(arguments.postgresql), arguments.streams, arguments.directory) as here:
            if wanted in ("all", "copy"):
                documents = [datasets.documents(size) for size in sizes]
                sets = [*documents, *_others(arguments)]
                _require_disk(arguments.directory, max(sizes))
                measure.compare(here, arguments.results, sets, documents[len(documents) // 2], arguments.rounds)
            if wanted in ("all", "growth"):
                _require_disk(arguments.directory, sum(arguments.growth_sizes))
                groups = [
                    [datasets.documents(size) for size in sorted(arguments.growth_sizes)],
                    [datasets.narrow(millions) for millions in sorted(arguments.growth_rows)],
                ]
                growth.measure(here, arguments.results, groups, min(arguments.rounds, 3))
    if wanted in ("all", "overhead"):
        overhead.measure(arguments.results, arguments.directory, arguments.rounds)


def _others(arguments: argparse.Namespace) -> list[Dataset]:
    narrow = [datasets.narrow(arguments.narrow)] if arguments.narrow else []
    return narrow + ([datasets.large(arguments.large)] if arguments.large else [])


def _require_disk(directory: Path, gigabytes: float) -> None:
    free = shutil.disk_usage(directory).free / 1e9
    if free < gigabytes * COPIES_ON_DISK:
        raise BenchError(
            f"{gigabytes:g} GB of rows need about {gigabytes * COPIES_ON_DISK:.0f} GB below {directory}, {free:.0f} are"
            " free; give smaller sizes or another --directory"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "mode",
        nargs="?",
        default="all",
        choices=["all", "copy", "growth", "overhead"],
        help="copy: against the peers; growth: ever larger data; overhead: migrate.yml on empty tables",
    )
    parser.add_argument("--sizes", type=_numbers, default=[0.1, 0.5, 2.0], help="GB of documents (0.1,0.5,2)")
    parser.add_argument("--narrow", type=float, default=5.0, help="million rows of the narrow table; 0: none (5)")
    parser.add_argument("--large", type=float, default=300.0, help="MB of the largest value; 0: no huge values (300)")
    parser.add_argument("--growth-sizes", type=_numbers, default=[0.1, 1.0, 10.0], help="GB of documents (0.1,1,10)")
    parser.add_argument("--growth-rows", type=_numbers, default=[1.0, 4.0, 16.0], help="million narrow rows (1,4,16)")
    parser.add_argument("--rounds", type=int, default=5, help="of all contenders in turn, after one to warm up (5)")
    parser.add_argument("--streams", type=int, default=2, help="workers, pipes, jobs: the same for all (2)")
    parser.add_argument("--postgresql", type=int, help="major version of both servers (the newest that has lz4)")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="on the disk to measure (/var/tmp)")  # noqa: S108 - a new private directory below it
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to write (bench/results)")
    return parser.parse_args()


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
