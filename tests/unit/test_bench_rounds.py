"""What the benchmark says of one contender against another: time by time of the same round, never of two medians."""

from __future__ import annotations

import json
from pathlib import Path

from bench.machine import SERVERS
from bench.meter import Usage
from bench.results import Measured, write
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


def test_the_peers_verification_is_the_pair_of_ours_and_says_which_version_it_was(tmp_path: Path) -> None:
    rounds = ({"copy_verify": usage(3), "pgcopydb_verified": usage(6), "pg_dump_verified": usage(12)},)
    machine = {"pgcopydb": "pgcopydb version 0.18 --use-copy-binary", SERVERS: "18.1"}
    one = Measured("a set", 0.5, 0, rounds)
    write(tmp_path, machine, [one], one, {})
    found = {each["vs"]: each for each in json.loads((tmp_path / "latest.json").read_text())}
    assert {vs: (each["name"], each["median"], each["version"]) for vs, each in found.items()} == {
        "pgcopydb_verified": ("copy_verify", 0.5, "pgcopydb version 0.18 --use-copy-binary"),
        "pg_dump_verified": ("copy_verify", 0.25, "18.1"),
    }
