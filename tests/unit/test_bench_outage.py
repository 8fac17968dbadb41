"""The outage that a writer of SQL saw, and the file that keeps one figure of each kind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.outage import Figure, Writer, keep

FIGURE = Figure("online", 1.0, "sql", "migrate", 0.2, 30)


def test_the_longest_time_without_a_write_counts_the_ends_of_the_window_too() -> None:
    environment: Any = None
    writer = Writer(environment, "campaign", [(0.5, True), (2.0, True), (2.1, False), (4.0, True), (99.0, False)])
    assert writer.outage(1.0, 5.0) == (2.0, 1)
    assert writer.outage(1.0, 9.0) == (5.0, 1)


def test_a_figure_takes_the_place_of_an_older_one_of_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "outage.json"
    for figure in (FIGURE, replace(FIGURE, gigabytes=5.0), replace(FIGURE, seconds=0.3, failed_requests=1)):
        keep(path, figure)
    held = json.loads(path.read_text(encoding="utf-8"))
    assert [(each["gigabytes"], each["seconds"]) for each in held] == [(1.0, 0.3), (5.0, 0.2)]
    assert set(held[0]) == {"mode", "gigabytes", "seen_by", "direction", "seconds", "failed_requests"}
