"""The files of `bench/results/`: tables for people, a chart, and figures for programs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.machine import SERVERS
from bench.meter import Usage
from bench.rounds import PEERS, VERIFIED, Ratio, Round, ratios

HERE = Path(__file__).parent
BARS = (
    ("copy", "raw_pipe", 1.05),
    ("copy_verify", "raw_pipe", 1.30),
    ("copy", "pgcopydb", 0.65),
    ("copy", "pgcopydb_lz4", 0.85),
    ("copy_verify", "pgcopydb_lz4", 1.00),
    ("copy_verify", "pgcopydb", 0.75),
    ("copy_verify", "pgcopydb_verified", 0.60),
    ("verify", "copy", 0.25),
)
"""(name, measured against, the most that we allow ourselves): on as many cores as streams, all of them busy"""
NARROW_COPY = 1.10
"""Of the copy of narrow rows against the raw pipe."""
MOST_BYTES = 100e6
MOST_OF_A_VALUE = 4
"""Memory of the largest process: at most so much, or so many times the largest value."""
CHARTED = ("copy", "copy_verify", "pgcopydb_lz4", "pg_dump_lz4", "pgcopydb", "pg_dump")
LABELS = 150
SCALE = 140
"""Pixels of the chart: left of the axis, and for a ratio of 1."""


@dataclass(frozen=True)
class Measured:
    """One data set and all its rounds."""

    title: str
    gigabytes: float
    """1e9 bytes of the rows as text."""
    largest_value_bytes: int
    """0: values are small."""
    rounds: tuple[Round, ...]
    is_narrow: bool = False
    """Rows of a few bytes."""

    @property
    def ratios(self) -> list[Ratio]:
        return ratios(self.rounds)

    @property
    def names(self) -> list[str]:
        """Of all that ran, in the order they ran."""
        return list(dict.fromkeys(name for one in self.rounds for name in one))


def write(
    directory: Path,
    machine: Mapping[str, str],
    sets: Sequence[Measured],
    headline: Measured,
    left_out: Mapping[str, str],
) -> None:
    """Write report.md, chart.svg, latest.json (the headline's ratios) and runs.json (everything that was measured)."""
    directory.mkdir(parents=True, exist_ok=True)
    latest = [asdict(ratio) | {"version": _version(ratio.vs, machine)} for ratio in headline.ratios]
    _write(directory / "latest.json", json.dumps(latest, indent=1) + "\n")
    runs = {
        "machine": dict(machine),
        "left_out": dict(left_out),
        "headline": headline.title,
        "sets": [
            {
                "data": one.title,
                "gigabytes": one.gigabytes,
                "largest_value_bytes": one.largest_value_bytes,
                "ratios": [asdict(ratio) for ratio in one.ratios],
                "rounds": [{name: asdict(usage) for name, usage in figures.items()} for figures in one.rounds],
            }
            for one in sets
        ],
    }
    _write(directory / "runs.json", json.dumps(runs, indent=1) + "\n")
    _write(directory / "chart.svg", chart(sets))
    _write(directory / "report.md", report(machine, sets, left_out))


def _version(name: str, machine: Mapping[str, str]) -> str:
    """Program, version and options of what is measured against; of the servers' programs it is the servers' version."""
    program = "pgcopydb" if name.startswith("pgcopydb") else "pg_comparator" if name == "pg_comparator" else SERVERS
    return machine[program]


def write_part(directory: Path, name: str, machine: Mapping[str, str], text: str, figures: object) -> None:
    """Write NAME.md and NAME.json."""
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / f"{name}.md", f"{text}\n{table(('', ''), machine.items())}")
    runs = {"machine": dict(machine), "runs": figures}
    _write(directory / f"{name}.json", json.dumps(runs, indent=1) + "\n")


def report(machine: Mapping[str, str], sets: Sequence[Measured], left_out: Mapping[str, str]) -> str:
    """The tables."""
    parts = [f"# Copy and verification against their peers\n\n{table(('', ''), machine.items())}"]
    parts.append(f"## The bars\n\nMedians of the paired ratios; those over the bar are marked.\n\n{_bars(sets)}")
    if left_out:
        parts.append("## Left out\n\n" + "".join(f"- {name}: {why}\n" for name, why in left_out.items()))
    for one in sets:
        heading = f"## {one.title} ({one.gigabytes:.2f} GB as text, {len(one.rounds)} rounds)"
        parts.append(f"{heading}\n\n{_costs(one)}\n{_against(one)}")
    parts.append("![chart](chart.svg)\n")
    return "\n".join(parts)


def table(heads: Sequence[str], lines: object) -> str:
    """A table in Markdown. lines: an iterable of sequences of texts."""
    rows = [heads, ["---"] * len(heads), *lines]  # type: ignore[misc]  # any iterable of rows
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median (least to most)."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _bars(sets: Sequence[Measured]) -> str:
    lines = [
        (f"{name} / {vs}", f"{most:.2f}", *(_held(one, name, vs, most) for one in sets)) for name, vs, most in BARS
    ]
    lines[0] = (lines[0][0], f"{lines[0][1]}, narrow rows {NARROW_COPY:.2f}", *lines[0][2:])
    memory = f"{MOST_BYTES / 1e6:.0f} MB, or {MOST_OF_A_VALUE} x the largest value"
    lines.append(("largest process", memory, *(_memory(one) for one in sets)))
    return table(("", "at most", *(one.title for one in sets)), lines)


def _held(measured: Measured, name: str, vs: str, most: float) -> str:
    ratio = next((one for one in measured.ratios if (one.name, one.vs) == (name, vs)), None)
    if ratio is None:
        return "not measured"
    if (name, vs) == ("copy", "raw_pipe") and measured.is_narrow:
        most = NARROW_COPY
    return f"{ratio.median:.2f}" if ratio.median <= most else f"**{ratio.median:.2f} over**"


def _memory(measured: Measured) -> str:
    peak = max(one["copy_verify"].peak_bytes for one in measured.rounds)
    text = f"{peak / 1e6:.0f} MB"
    return text if peak <= max(MOST_BYTES, MOST_OF_A_VALUE * measured.largest_value_bytes) else f"**{text} over**"


def _costs(measured: Measured) -> str:
    heads = ("", "seconds", "CPU source", "CPU target", "CPU client", "largest client process")
    lines = []
    for name in measured.names:
        used: list[Usage] = [one[name] for one in measured.rounds if name in one]
        cpu = [
            statistics.median(seconds)
            for seconds in zip(
                *((one.source_cpu_seconds, one.target_cpu_seconds, one.client_cpu_seconds) for one in used), strict=True
            )
        ]
        peak = f"{max(one.peak_bytes for one in used) / 1e6:.0f} MB"
        lines.append((name, spread([one.seconds for one in used]), *(f"{seconds:.2f}" for seconds in cpu), peak))
    return table(heads, lines)


def _against(measured: Measured) -> str:
    found = {(ratio.name, ratio.vs): ratio for ratio in measured.ratios}
    peers = [vs for vs in (*PEERS, *VERIFIED, "copy", "pg_comparator") if any(key[1] == vs for key in found)]
    names = [name for name in measured.names if any(key[0] == name for key in found)]
    lines = [(name, *(_text(found.get((name, vs))) for vs in peers)) for name in names]
    return table(("time of ... / time of", *peers), lines)


def _text(ratio: Ratio | None) -> str:
    return "" if ratio is None else f"{ratio.median:.2f} ({ratio.min:.2f} to {ratio.max:.2f})"


def chart(sets: Sequence[Measured]) -> str:
    """SVG: for every data set, the time of each contender as a multiple of the raw pipe's, with its range."""
    groups = []
    for one in sets:
        found = {ratio.name: ratio for ratio in one.ratios if ratio.vs == "raw_pipe"}
        groups.append((one.title, [found[name] for name in CHARTED if name in found]))
    most = max((ratio.max for _, group in groups for ratio in group), default=1)
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("chart.svg.j2").render(groups=groups, most=most, labels=LABELS, scale=SCALE)


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.rename(path)
