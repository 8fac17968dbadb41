"""What the runbook itself costs: `migrate.yml` on the demo's servers with empty tables, without its copy and verify."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench import machine
from bench.place import BenchError
from bench.results import spread, table, write_part
from demo import data
from demo.environment import PROJECT, Environment

BARS = {"runbook without copy and verify": 15.0, "fence to first write on the new side": 2.0}
"""The most seconds that we allow ourselves."""
MOST_PLAYS = 12
"""The longest, in the table."""
FENCE_PHASES = ("fence", "copy", "verify", "cutover", "cutover_services")


def measure(results: Path, parent: Path, rounds: int) -> None:
    """`rounds` migrations, each of a new demo; writes overhead.md and overhead.json."""
    described = machine.describe(parent)
    found, plays = [], []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="consolidation-bench-", dir=parent) as name:
            figures, log = _once(Path(name))
        found.append(figures)
        plays.append(_plays(log))
        print(f"  overhead {number + 1}: " + ", ".join(f"{what} {s:.2f}" for what, s in found[-1].items()), flush=True)
    lines = []
    for what in found[0]:
        seconds = [one[what] for one in found]
        most = BARS.get(what)
        verdict = "" if most is None else "holds" if sorted(seconds)[len(seconds) // 2] <= most else "DOES NOT HOLD"
        lines.append((what, spread(seconds), "" if most is None else f"{most:g}", verdict))
    text = f"# migrate.yml on empty tables, {rounds} rounds\n\n" + table(("", "seconds", "at most", ""), lines)
    write_part(results, "overhead", described, f"{text}\n{_longest(plays)}", found)


def _longest(runs: Sequence[dict[str, float]]) -> str:
    """Where the run's time goes: its longest plays, with Ansible's share in them."""
    heads = (f"the {MOST_PLAYS} longest plays, with all that Ansible does for them", "seconds")
    medians = {play: statistics.median(run.get(play, 0.0) for run in runs) for play in runs[0]}
    longest = sorted(medians, key=lambda play: -medians[play])[:MOST_PLAYS]
    return table(heads, [(play, spread([run.get(play, 0.0) for run in runs])) for play in longest])


def _plays(log: str) -> dict[str, float]:
    """Seconds of every play, from its first line in the run's log to the next play's."""
    lines = [line.partition(" ") for line in log.splitlines()]
    starts = [(datetime.fromisoformat(when), text) for when, _, text in lines if text.startswith("PLAY ")]
    ends = [when for when, _ in starts[1:]] + [datetime.fromisoformat(lines[-1][0])]
    seconds: dict[str, float] = {}
    for (began, text), ended in zip(starts, ends, strict=True):
        name = text.removeprefix("PLAY ")
        seconds[name] = seconds.get(name, 0.0) + (ended - began).total_seconds()
    return seconds


def _once(directory: Path) -> tuple[dict[str, float], str]:
    """The figures of one run, and its log."""
    directory.chmod(0o711)
    environment = Environment.create(directory / "demo")
    try:
        for service in data.SERVICES:
            data.create_tables(environment.servers[service], service)
        environment.start_services()
        command = ["ansible-playbook", "migrate.yml", "-i", "inventories/demo", "-e", "consolidation_confirm=yes"]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        started = time.perf_counter()
        done = subprocess.run(
            [*command, "-e", f"demo_directory={environment.directory}"],
            cwd=PROJECT,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - started
        if done.returncode != 0:
            raise BenchError(f"migrate.yml ended with {done.returncode}: {done.stdout[-1500:]}")
        [report] = (environment.directory / "runs").glob("*/report.json")
        figures = _figures(wall, json.loads(report.read_text())["databases"])
        return figures, (report.parent / "log.txt").read_text()
    finally:
        environment.destroy()


def _figures(wall: float, databases: Iterable[dict[str, Any]]) -> dict[str, float]:
    """The databases are migrated side by side: a phase lasts while any of them is in it."""
    databases = list(databases)
    phases = {
        name: _taken(
            phase for database in databases for phase in database["journal"]["phases"] if phase["name"] == name
        )
        for name in FENCE_PHASES
    }
    results = [phase["result"] for database in databases for phase in database["journal"]["phases"]]
    return {
        "whole run": wall,
        "runbook without copy and verify": wall - phases["copy"] - phases["verify"],
        "fence to open": max(outage["seconds"] for database in databases for outage in database["outages"]),
        "fence to first write on the new side": max(result.get("outage_seconds", 0.0) for result in results),
        **{f"of it {name}": seconds for name, seconds in phases.items()},
    }


def _taken(phases: Iterable[dict[str, Any]]) -> float:
    """Seconds in which at least one of them was under way."""
    moment = datetime.fromisoformat
    total = timedelta()
    until: datetime | None = None
    for began, ended in sorted((moment(phase["started_at"]), moment(phase["finished_at"])) for phase in phases):
        total += max(ended - max(began, until or began), timedelta())
        until = max(ended, until or ended)
    return total.total_seconds()
