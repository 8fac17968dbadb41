from __future__ import annotations

from consolidation.report.tables import comparison, tables
from tests.report_facts import at, database, table


def test_a_table_that_no_comparison_names_is_not_compared() -> None:
    facts = database(tables=[table("campaigns")])
    copied = next(phase for phase in facts["phases"] if phase["name"] == "copy")["result"]["tables"]
    copied.append({"name": "chapters", "rows": 5, "bytes": 10, "seconds": 2.0})
    chapters, campaigns = tables(facts)
    assert (chapters.name, chapters.outcome, chapters.bytes_per_second) == ("chapters", "not compared", 5.0)
    assert (campaigns.outcome, campaigns.source_rows, campaigns.target_rows) == ("equal", 20_000, 20_000)


def test_what_is_not_equal_comes_first_then_the_largest() -> None:
    found = tables(
        database(tables=[table("a"), table("b", outcome="different"), table("c", outcome="could_not_compare")])
    )
    assert [(entry.name, entry.outcome) for entry in found] == [
        ("b", "different"),
        ("c", "could not compare"),
        ("a", "equal"),
    ]


def test_the_journal_of_a_copy_cut_off_is_enough() -> None:
    facts = database(state="migrating", last="copy", phase_state="running")
    facts["loads"] = [{"name": "campaigns", "rows": 3, "bytes": 30, "seconds": 0.5, "state": "loading"}]
    [found] = tables(facts)
    assert (found.source_rows, found.target_rows, found.bytes, found.outcome) == (None, 3, 30, "not compared")


def test_results_of_another_shape_are_left_alone() -> None:
    facts = database()
    for phase in facts["phases"]:
        phase["result"] = {"tables": {"campaigns": 1}}
    assert tables(facts) == ()


def test_a_comparison_older_than_the_copy_or_cut_off_says_nothing() -> None:
    facts = database(tables=[table("campaigns")])
    [copy] = [phase for phase in facts["phases"] if phase["name"] == "copy"]
    [verify] = [phase for phase in facts["phases"] if phase["name"] == "verify"]
    assert comparison(facts) == verify["result"]
    finished_at = verify["finished_at"]
    verify.update(state="running", finished_at=None)
    assert [found.outcome for found in tables(facts)] == ["not compared"]
    verify.update(state="done", finished_at=finished_at)
    copy["finished_at"] = at(7200)
    assert [found.outcome for found in tables(facts)] == ["not compared"]
