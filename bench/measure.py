"""The comparison with the peers, one data set after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from psycopg2 import sql

from bench import datasets, machine, results
from bench.contenders import CONTENDERS
from bench.datasets import Dataset
from bench.place import Place
from bench.rounds import play


def compare(place: Place, directory: Path, sets: Sequence[Dataset], headline: Dataset, rounds: int) -> None:
    """Measure every set with every contender that this machine has; write the results after each of them."""
    left_out = machine.missing_peers(place)
    for name, why in left_out.items():
        print(f"{name} is left out: {why}")
    contenders = {name: contender for name, contender in CONTENDERS.items() if name not in left_out}
    described = machine.describe_servers(place)
    measured: dict[str, results.Measured] = {}
    for dataset in sets:
        print(f"{dataset.title}: generating", flush=True)
        datasets.generate(place, dataset)
        played = tuple(play(place, dataset, contenders, rounds, left_out))
        measured[dataset.name] = results.Measured(
            dataset.title,
            gigabytes_of(place, dataset),
            dataset.largest_value_bytes,
            played,
            is_narrow="readings" in dataset.rows,
        )
        datasets.drop(place, dataset)
        so_far = list(measured.values())
        results.write(directory, described, so_far, measured.get(headline.name, so_far[0]), left_out)


def gigabytes_of(place: Place, dataset: Dataset) -> float:
    """1e9 bytes of the rows as text, about what COPY sends."""
    total = 0
    for table in dataset.rows:
        query = sql.SQL("SELECT coalesce(sum(octet_length(t::text)), 0) FROM {} AS t").format(sql.Identifier(table))
        total += int(place.rows(place.source, dataset.name, query)[0][0])
    return round(total / 1e9, 4)
