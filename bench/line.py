"""What verification adds to the outage where lines limit the copy and not processors, as on three machines.

    python -m bench.line

It needs root and Linux: everything happens in a network namespace of its own, in which what leaves the source, what
reaches the target and what leaves the target have a line each, of so many megabits a second. `copy_readers: 0` and
`copy_readers: 1` take turns; results/line.json has the seconds of each round, and the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import datasets
from bench.contenders import PRODUCT, product
from bench.place import Place, choose_version, place

RESULT = Path(__file__).parent / "results" / "line.json"
INSIDE = "--inside"
BURST = "256k"
"""Loopback sends up to 64 KB at once."""


def lines(here: Place, megabits: int) -> None:
    """Limit each direction on its own: a line is full duplex. 0: no limit."""
    commands = []
    if megabits:
        commands.append("tc qdisc add dev lo root handle 1: htb")
        ends = [f"sport {here.source.port}", f"dport {here.target.port}", f"sport {here.target.port}"]
        for number, end in enumerate(ends, 1):
            rate = f"rate {megabits}mbit burst {BURST} cburst {BURST} quantum 65536"
            commands.append(f"tc class add dev lo parent 1: classid 1:{number} htb {rate}")
            match = f"u32 match ip {end} 0xffff flowid 1:{number}"
            commands.append(f"tc filter add dev lo parent 1: protocol ip prio 1 {match}")
    for command in commands:
        subprocess.run(command.split(), check=True)


def measure(here: Place, gigabytes: float, rounds: int) -> list[dict[str, Any]]:
    """Seconds of copy, verification and both, in turns; a round before them is not counted."""
    dataset = datasets.documents(gigabytes)
    datasets.generate(here, dataset)
    found = []
    for number in range(rounds + 1):
        turn = (("verified_after", 0), ("verified_meanwhile", 1))[:: -1 if number % 2 else 1]
        one = {
            name: {what: round(usage.seconds, 2) for what, usage in product(here, dataset, readers).items()}
            for name, readers in turn
        }
        if number:
            found.append(one)
            print(json.dumps(one), flush=True)
    here.drop_target(PRODUCT)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=0.25, help="of documents (0.25)")
    parser.add_argument("--megabits", type=int, default=300, help="a second, each way; 0: no limit (300)")
    parser.add_argument("--workers", type=int, default=1, help="of the copy; a core more is for the reader (1)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=RESULT)
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.inside:
        os.execvp("unshare", ["unshare", "--net", sys.executable, "-m", "bench.line", *sys.argv[1:], INSIDE])  # noqa: S606, S607 - no shell
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607
    with place(choose_version(None), given.workers, Path("/var/tmp")) as here:  # noqa: S108 - a new private directory below it
        lines(here, given.megabits)
        found = measure(here, given.gigabytes, given.rounds)
    ratios = {
        what: sorted(round(one["verified_meanwhile"][what] / one["verified_after"][what], 3) for one in found)
        for what in ("copy", "verify", "copy_verify")
    }
    settings = {name: getattr(given, name) for name in ("gigabytes", "megabits", "workers")}
    result = {
        **settings,
        "cores": os.cpu_count(),
        "meanwhile_to_after": {
            what: {"median": round(statistics.median(each), 3), "min": each[0], "max": each[-1], "runs": len(each)}
            for what, each in ratios.items()
        },
        "rounds": found,
    }
    print(json.dumps(result["meanwhile_to_after"], indent=2))
    given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
