"""Whether time grows with the data and memory does not: the product alone, ever larger sets in turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from bench import datasets, machine
from bench.contenders import PRODUCT, product
from bench.datasets import Dataset
from bench.measure import gigabytes_of
from bench.place import Place
from bench.results import spread, table, write_part
from bench.rounds import Round


def measure(place: Place, results: Path, groups: Sequence[Sequence[Dataset]], rounds: int) -> None:
    """Interleaved rounds over every group's sets, least first; writes growth.md and growth.json."""
    described = machine.describe_servers(place)
    text, figures = f"# Growth, {rounds} rounds\n", []
    for sets in groups:
        print(f"Growth: {', '.join(one.title for one in sets)}", flush=True)
        for one in sets:
            datasets.generate(place, one)
        sizes = [gigabytes_of(place, one) for one in sets]
        played = [[_once(place, one) for one in sets] for _ in range(rounds)]
        for one in sets:
            datasets.drop(place, one)
        lines = []
        for number, (one, size) in enumerate(zip(sets, sizes, strict=True)):
            runs = [(before[0], before[number]) for before in played]
            lines.append(_line(one.title, size, runs, sizes[0]))
            figures.append({"data": one.title, "gigabytes": size, "seconds": _seconds([run for _, run in runs])})
        heads = (
            "data",
            "GB as text",
            "copy s",
            "verify s",
            "copy + verify s per GB, of the least's",
            "largest process",
        )
        text += "\n" + table(heads, lines)
    write_part(results, "growth", described, text, figures)


def _once(place: Place, dataset: Dataset) -> Round:
    found = product(place, dataset)
    place.drop_target(PRODUCT)
    print(f"  {dataset.title}: {found['copy'].seconds:.2f} + {found['verify'].seconds:.2f} s", flush=True)
    return found


def _line(title: str, size: float, runs: Sequence[tuple[Round, Round]], least: float) -> tuple[str, ...]:
    """runs: the least set's figures and this one's, of the same round."""
    per_gigabyte = [
        (mine["copy_verify"].seconds / size) / (first["copy_verify"].seconds / least) for first, mine in runs
    ]
    seconds = (spread([mine[name].seconds for _, mine in runs]) for name in ("copy", "verify"))
    peak = max(mine["copy_verify"].peak_bytes for _, mine in runs)
    return (title, f"{size:.3f}", *seconds, spread(per_gigabyte), f"{peak / 1e6:.0f} MB")


def _seconds(runs: Sequence[Round]) -> dict[str, float]:
    return {name: round(statistics.median(run[name].seconds for run in runs), 3) for name in ("copy", "verify")}
