"""A comparison in words: the worst counts, nothing not compared passes, and no key gets into a message."""

from __future__ import annotations

import pytest

from consolidation.compare.buckets import Differences
from consolidation.compare.digest import Digest
from consolidation.compare.result import DIFFERENT, EQUAL, NOT_COMPARED, Comparison, SequenceResult, TableResult

SAME = TableResult("same", EQUAL, Digest(2, (1, 2)), Digest(2, (1, 2)), seconds=0.5)
OTHER = TableResult(
    "other",
    DIFFERENT,
    Digest(1200, (1, 2)),
    Digest(2, (3, 4)),
    Differences(1198, 0, 1, {"missing": [{"id": "secret"}]}, complete=False),
)
UNKNOWN = TableResult("unknown", NOT_COMPARED, reason="permission denied")


@pytest.mark.parametrize(
    ("tables", "sequences", "faults", "outcome"),
    [
        ([SAME], [], [], EQUAL),
        ([SAME, OTHER], [], [], DIFFERENT),
        ([SAME, UNKNOWN], [], [], NOT_COMPARED),
        ([SAME, OTHER, UNKNOWN], [], [], DIFFERENT),
        ([SAME], [SequenceResult("s", DIFFERENT)], [], DIFFERENT),
        ([SAME], [SequenceResult("s", NOT_COMPARED)], [], NOT_COMPARED),
        ([SAME], [], ["index i of same is not valid"], DIFFERENT),
        ([], [], [], NOT_COMPARED),
    ],
)
def test_the_worst_outcome_counts(
    tables: list[TableResult], sequences: list[SequenceResult], faults: list[str], outcome: str
) -> None:
    assert Comparison(tuple(tables), tuple(sequences), tuple(faults)).outcome == outcome


def test_words_without_keys() -> None:
    result = Comparison((SAME, OTHER, UNKNOWN), (SequenceResult("s", EQUAL),), ("trigger t of same is disabled",))
    assert result.summary == [
        "same: equal, 2 rows in the source, 2 in the target",
        "other: different, 1,200 rows in the source, 2 in the target (at least 1198 missing, 0 extra, 1 different)",
        "unknown: could not be compared, ? rows in the source, ? in the target (permission denied)",
        "sequence s: equal",
        "trigger t of same is disabled",
    ]
    complaint = result.complaint
    assert "table other different (at least 1198 missing" in complaint
    assert "table unknown could not be compared (permission denied)" in complaint
    assert "trigger t of same is disabled" in complaint
    assert "same equal" not in complaint
    assert "secret" not in complaint + result.repair + "".join(result.summary)


def test_what_to_do_depends_on_what_was_found() -> None:
    assert "repair.yml" in Comparison((OTHER,)).repair
    only_unknown = Comparison((UNKNOWN,)).repair
    assert "repair.yml" not in only_unknown
    assert "remove the reason" in only_unknown
