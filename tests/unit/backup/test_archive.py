"""What pg_restore says of entries that failed, and which of them the run is responsible for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidation.backup.archive import LOST, Failure, _failures, _refusals

SAID = """\
pg_restore: connecting to database for restore
pg_restore: while INITIALIZING:
pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"
Command was: SET transaction_timeout = 0;
pg_restore: creating EXTENSION "pg_stat_statements"
pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 2; 3079 16385 EXTENSION pg_stat_statements (no owner)
pg_restore: error: could not execute query: ERROR:  permission denied to create extension "pg_stat_statements"
HINT:  Must be superuser to create this extension.
pg_restore: from TOC entry 3340; 0 16390 TABLE DATA chapters campaign_owner
pg_restore: error: COPY failed for table "chapters": ERROR:  invalid input syntax for type integer: "secret"
CONTEXT:  COPY chapters, line 1, column n: "secret"
pg_restore: error: another of the same entry
pg_restore: warning: errors ignored on restore: 3
"""


GERMAN = """\
pg_restore: error: could not execute query: FEHLER:  unbekannter Konfigurationsparameter »transaction_timeout«
Command was: SET transaction_timeout = 0;
pg_restore: from TOC entry 2; 3079 16385 EXTENSION pg_stat_statements (no owner)
pg_restore: error: could not execute query: FEHLER:  keine Berechtigung, um Erweiterung »pg_stat_statements« zu erzeugen
pg_restore: from TOC entry 3340; 0 16390 TABLE DATA chapters campaign_owner
pg_restore: error: COPY failed for table "chapters": FEHLER:  ungültige Eingabesyntax für Typ integer: »secret«
pg_restore: from TOC entry 217; 1259 16390 TABLE chapters campaign_owner
pg_restore: error: could not execute query: FEHLER:  unbekannter Parameter »pg_attver«
"""
ENTRIES = {
    2: "EXTENSION - pg_stat_statements ",
    217: "TABLE public chapters campaign_owner",
    3340: "TABLE DATA public chapters campaign_owner",
}
HIDDEN = 'COPY failed for table "chapters": the server refused (its log has the text, which may quote a row)'


def test_failures_by_entry_without_what_could_quote_a_row() -> None:
    reasons = {each.entry: each.reason for each in _failures(_refusals(SAID.splitlines()), ENTRIES)}
    assert reasons == {
        ENTRIES[2]: 'could not execute query: permission denied to create extension "pg_stat_statements"',
        ENTRIES[3340]: HIDDEN,
    }


def test_a_server_may_speak_any_language() -> None:
    """Nothing hangs on its words: what reads no row is passed on, what may quote one is not."""
    reasons = {each.entry: each.reason for each in _failures(_refusals(GERMAN.splitlines()), ENTRIES)}
    assert reasons == {
        ENTRIES[2]: "could not execute query: keine Berechtigung, um Erweiterung »pg_stat_statements« zu erzeugen",
        ENTRIES[217]: "could not execute query: unbekannter Parameter »pg_attver«",
        ENTRIES[3340]: HIDDEN,
    }


def test_workers_write_between_each_others_lines() -> None:
    lines = SAID.splitlines()
    copy = next(number for number, line in enumerate(lines) if "COPY failed" in line)
    mixed = [*lines[: copy + 1], "Command was: SET transaction_timeout = 0;", *lines[copy + 1 :]]
    reasons = {each.entry: each.reason for each in _failures(_refusals(mixed), ENTRIES)}
    assert reasons[ENTRIES[3340]] == HIDDEN
    # After entry 3340 has begun: of a kind that reads rows, whoever it belongs to.
    assert not any("secret" in reason for reason in reasons.values())


def test_a_line_that_another_worker_wrote_into_says_where_the_reason_is() -> None:
    lines = [
        "pg_restore: from TOC entry 217; 1 2 x",
        'pg_restore: error: pg_restore: creating CONSTRAINT "a"',
        "could not …",
    ]
    assert [str(each) for each in _failures(_refusals(lines), ENTRIES)] == [f"{ENTRIES[217]}: {LOST}"]


HARMLESS = 'could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'
CREATING = "pg_restore: creating CONSTRAINT"
ELSEWHERE = [HARMLESS, "Command was: SET transaction_timeout = 0;"]


@pytest.mark.parametrize(
    ("lines", "failures"),
    [
        ([f"pg_restore: error: {CREATING}", *ELSEWHERE], 0),
        ([f"pg_restore: error: {CREATING}", f"{CREATING}{HARMLESS}", "Command was: SET transaction_timeout = 0;"], 0),
        # One of the two is another error, and nobody knows which.
        ([f"pg_restore: error: {CREATING}", *ELSEWHERE, f"pg_restore: error: {CREATING}", "could not …"], 2),
        # The harmless one was cut before the word, it is not the end of the other.
        ([f"pg_restore: {CREATING}", f"error: {HARMLESS}", f"pg_restore: error: {CREATING}", "could not …"], 1),
        ([f"pg_restore: {CREATING}", "error: COPY failed for table …"], 1),
        # Nor is it where it stands in one piece.
        ([f"pg_restore: error: {HARMLESS}", f"pg_restore: error: {CREATING}", "could not …"], 1),
    ],
)
def test_a_harmless_line_that_another_worker_wrote_into_stays_harmless(lines: list[str], failures: int) -> None:
    assert len(list(_refusals(["pg_restore: from TOC entry 217; 1 2 x", *lines]))) == failures


SAYS = {
    "progress": ["pg_restore:", " ", 'creating TABLE "public.chapters"\n'],
    "harmless": ["pg_restore:", " ", "error: ", f"{HARMLESS}\nCommand was: SET transaction_timeout = 0;\n"],
    "failure": ["pg_restore:", " ", "error: ", 'could not execute query: ERROR:  type "x" does not exist\n'],
}
"""What a worker says, in the pieces in which pg_restore writes it."""
WORKERS = st.lists(st.lists(st.sampled_from(sorted(SAYS)), max_size=4), min_size=1, max_size=3)


@given(st.data())
def test_no_failure_is_hidden_and_none_is_made_up_however_workers_write_between_each_others_pieces(
    data: st.DataObject,
) -> None:
    workers = data.draw(WORKERS)
    left = [[piece for what in said for piece in SAYS[what]] for said in workers]
    text = ""
    while any(left):
        text += data.draw(st.sampled_from([pieces for pieces in left if pieces])).pop(0)
    refusals = list(_refusals(text.splitlines()))
    failures = sum(said.count("failure") for said in workers)
    assert len(refusals) >= failures
    assert failures or not refusals


def test_what_belongs_to_no_entry_is_a_failure_of_the_whole() -> None:
    said = "pg_restore: error: could not open input file: No such file or directory\n" + SAID
    assert [each.reason for each in _refusals(said.splitlines()) if each.entry is None] == [
        "could not open input file: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        ("TABLE public chapters campaign_owner", True),
        ("TABLE DATA public chapters campaign_owner", True),
        ("FK CONSTRAINT public chapters chapters_campaign_id_fkey campaign_owner", True),
        ("INDEX public folded campaign_owner", True),
        ("SEQUENCE SET public chapters_id_seq campaign_owner", True),
        ("TABLE other chapters campaign_owner", False),
        ("TABLE publicity chapters campaign_owner", False),
        ("FUNCTION public f() campaign_owner", False),
        ("EXTENSION - pg_stat_statements ", False),
        ("EVENT TRIGGER - watch postgres", False),
        ("COMMENT public TABLE chapters campaign_owner", False),
    ],
)
def test_the_run_is_responsible_for_the_tables_of_its_schema(entry: str, ours: bool) -> None:
    assert Failure(entry, "reason").is_of("public") is ours
