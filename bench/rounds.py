"""Rounds of all contenders, one after the other, again and again; and what their figures say pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.contenders import PRODUCT, Contender
from bench.datasets import Dataset
from bench.meter import Usage
from bench.place import BenchError, Place

Round = Mapping[str, Usage]
"""Name -> what it cost in this round."""
PEERS = ("raw_pipe", "pgcopydb", "pgcopydb_lz4", "pg_dump", "pg_dump_lz4")
VERIFIED = ("pgcopydb_verified", "pg_dump_verified")
"""Copy and verification of the peers."""
PAIRS = (
    *((name, vs) for vs in PEERS for name in ("copy", "copy_verify", *PEERS) if name != vs),
    *(("copy_verify", vs) for vs in VERIFIED),
    ("verify", "copy"),
    ("verify", "pg_comparator"),
)
"""(name, measured against)"""


@dataclass(frozen=True)
class Ratio:
    """Seconds of one divided by seconds of the other, each time of the same round."""

    name: str
    vs: str
    median: float
    min: float
    max: float
    runs: int


def play(
    place: Place, dataset: Dataset, contenders: Mapping[str, Contender], count: int, left_out: dict[str, str]
) -> Iterator[Round]:
    """`count` rounds. A peer that fails is left out from there on, and `left_out` says why; our own failure is raised.

    A round before them, which is not counted, fills caches and finds the peers that cannot take part.
    """
    playing = dict(contenders)
    for number in range(count + 1):
        figures: dict[str, Usage] = {}
        for name, contender in list(playing.items()):
            try:
                figures |= contender(place, dataset)
            except BenchError as error:
                if name == PRODUCT:
                    raise
                left_out[f"{name}, {dataset.title}"] = str(error)
                print(f"  {name} is left out: {error}")
                del playing[name]
            finally:
                if name != PRODUCT:
                    place.drop_target(name)
        shown = "  ".join(f"{name} {usage.seconds:.2f}" for name, usage in figures.items())
        print(f"  {'warm-up' if number == 0 else f'round {number}'}: {shown}", flush=True)
        if number:
            yield figures
    place.drop_target(PRODUCT)


def ratios(rounds: Sequence[Round]) -> list[Ratio]:
    """Every pair that ran in at least one round together."""
    return [ratio for name, vs in PAIRS if (ratio := _ratio(rounds, name, vs)) is not None]


def _ratio(rounds: Sequence[Round], name: str, vs: str) -> Ratio | None:
    found = [one[name].seconds / one[vs].seconds for one in rounds if name in one and vs in one]
    if not found:
        return None
    median, least, most = (round(each, 3) for each in (statistics.median(found), min(found), max(found)))
    return Ratio(name, vs, median, least, most, len(found))
