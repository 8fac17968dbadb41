"""What the benchmark says of one contender against another: time by time of the same round, never of two medians."""

from __future__ import annotations

from bench.meter import Usage
from bench.rounds import Ratio, ratios


def usage(seconds: float) -> Usage:
    return Usage(seconds, 0.0, 0.0, 0.0, 0)


def test_ratios_are_taken_within_a_round() -> None:
    rounds = [
        {"copy": usage(1), "raw_pipe": usage(2)},
        {"copy": usage(9), "raw_pipe": usage(10)},
        {"copy": usage(30), "raw_pipe": usage(10)},
    ]
    found = {(ratio.name, ratio.vs): ratio for ratio in ratios(rounds)}
    assert found["copy", "raw_pipe"] == Ratio("copy", "raw_pipe", 0.9, 0.5, 3.0, 3)
    assert all(ratio.vs != "pgcopydb" for ratio in found.values())


def test_only_rounds_with_both_count() -> None:
    rounds = [{"verify": usage(1), "copy": usage(4)}, {"copy": usage(4)}]
    assert ratios(rounds) == [Ratio("verify", "copy", 0.25, 0.25, 0.25, 1)]


def test_parts_add_up() -> None:
    assert Usage(1, 2, 3, 4, 50) + Usage(1, 1, 1, 1, 70) == Usage(2, 3, 4, 5, 70)
