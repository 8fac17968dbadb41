from __future__ import annotations

import pytest

from consolidation import text as figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),  # noqa: RUF001 - the sign for nothing
        (0, "0 ms"),
        (0.3404, "340 ms"),
        (0.9999, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (192, "3 min 12 s"),
        (3599.7, "1 h 00 min"),
        (7380, "2 h 03 min"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),  # noqa: RUF001 - the sign for nothing
        (0.3401, "341 ms"),
        (0.9991, "1.0 s"),
        (1.4, "1.4 s"),
        (1.401, "1.5 s"),
        (59.91, "1 min 00 s"),
        (192.01, "3 min 13 s"),
        (7381, "2 h 04 min"),
    ],
)
def test_a_bound_is_never_printed_smaller_than_it_is(seconds: float | None, text: str) -> None:
    assert figures.at_most(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_950, "1.0 MB"), (123_400_000, "123 MB"), (5.2e12, "5.2 TB")],
)
def test_size(amount: float, text: str) -> None:
    assert figures.size(amount) == text


def test_a_rate_that_cannot_be_said_is_none() -> None:
    assert figures.rate(10, 0) is None
    assert figures.rate(None, 1) is None
    assert figures.rate(10, 4) == 2.5
