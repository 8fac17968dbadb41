"""One line for the result of each of the runbook's modules: the state and the key figure.

Driven by the module and by what it returns, never by a task's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from consolidation import text as figures
from consolidation.report.outcome import time_of

Values = Mapping[str, Any]

GOOD, PLAIN, WARNING, BAD, OUTAGE = "good", "plain", "warning", "bad", "outage"
"""How a line is meant; the terminal's colours follow."""


@dataclass(frozen=True)
class Figure:
    """What is shown of a result."""

    phase: str
    state: str
    text: str
    tone: str = PLAIN


def figure(module: str, arguments: Values, values: Values) -> Figure | None:
    """The figure of a module's result; None where it has none of its own."""
    found = FIGURES.get(module)
    return found(arguments, values) if found else None


def findings(values: Values) -> tuple[int, int, int]:
    """Blockers, warnings, infos of a preflight result."""
    summary = values.get("summary") or {}
    return (summary.get("blocker", 0), summary.get("warning", 0), summary.get("info", 0))


def clock(moment: Any) -> str:
    """The time of day of an ISO 8601 time, in UTC."""
    found = time_of(moment)
    return f"{found.astimezone(UTC):%H:%M:%S} UTC" if found else "an unknown time"


def plural(number: int, word: str) -> str:
    """``1 table``, ``2 tables``."""
    return f"{figures.count(number)} {word}{'' if number == 1 else 's'}"


def _nothing(phase: str, values: Values) -> Figure | None:
    """Of a step that this run has done before."""
    if values.get("changed"):
        return None
    reason = str(values.get("skip_reason") or values.get("msg") or "done before in this run").partition("\n")[0]
    return Figure(phase, "no change", reason)


def _backup(_: Values, values: Values) -> Figure | None:
    if not values.get("changed"):
        return _nothing("backup", values)
    rows = sum(table.get("rows") or 0 for table in values.get("tables", []))
    drill = "verified by a test restore" if values.get("drill") else "NOT verified by a test restore"
    dump = figures.size(values["dump_bytes"])
    return Figure("backup", "done", f"{figures.count(rows)} rows, dump of {dump}, {drill}", GOOD)


def _schema(_: Values, values: Values) -> Figure | None:
    if not values.get("changed"):
        return Figure("schema", "no change", "the lineage is at its head")
    return Figure("schema", "done", f"{plural(len(values.get('revisions') or []), 'revision')} applied", GOOD)


def _fence(arguments: Values, values: Values) -> Figure | None:
    phase = "rollback" if arguments.get("rollback") else "fence"
    if arguments.get("side") == "target" and phase == "fence":
        return None  # a target that was not cut over yet keeps no one out
    side = "source" if arguments.get("side") == "source" else "storage database"
    if arguments.get("state") == "closed" and "closed_at" in values:
        waited = f"waited {figures.duration(values.get('waited_seconds'))} for open writes"
        text = f"{side} REFUSES WRITES from {clock(values['closed_at'])}; {waited}"
        return Figure(phase, "CLOSED", text, OUTAGE)
    if arguments.get("state") == "open" and "opened_at" in values:
        return Figure(phase, "OPEN", f"{side} accepts writes from {clock(values['opened_at'])}", GOOD)
    return None


def _capture(arguments: Values, values: Values) -> Figure | None:
    if not values.get("changed") or "state" not in values:
        return None
    tables = plural(len(values.get("tables") or []), "table")
    if arguments.get("state") == "absent":
        return Figure("rollback", "done", f"nothing is noted any more in {tables} of the {arguments.get('side')}", GOOD)
    return Figure("capture", "ON", f"changes of {tables} of the {arguments.get('side')} are noted; writers go on", GOOD)


def _follow(arguments: Values, values: Values) -> Figure | None:
    phase = "rollback" if arguments.get("to") == "source" else "follow"
    if "rounds" not in values:
        return _nothing(phase, values)
    rounds, keys = plural(values["rounds"], "round"), figures.count(values["keys"])
    text = f"{keys} noted keys brought over in {rounds}, the last one took {figures.duration(values['lag_seconds'])}"
    return Figure(phase, "close", text, GOOD)


def _rollback(_: Values, values: Values) -> Figure | None:
    if "opened_at" not in values:
        return None
    after = f"after {figures.duration(values['outage_seconds'])}, with every write made since the cutover"
    return Figure("rollback", "OPEN", f"source accepts writes from {clock(values['opened_at'])}, {after}", GOOD)


def _proof(_: Values, values: Values) -> Figure | None:
    if "outcome" not in values:
        return None
    outcome = str(values["outcome"]).replace("_", " ")
    text = f"{plural(len(values['tables']), 'table')} of the closed source compared with the open target"
    return Figure("proof", outcome, text, GOOD if outcome == "equal" else WARNING)


def _copy(arguments: Values, values: Values) -> Figure | None:
    if values.get("emptied"):
        return Figure("rollback", "done", f"{plural(len(values['emptied']), 'table')} of the target emptied", GOOD)
    if not values.get("copies", True):
        return None
    if not values.get("changed"):
        return _nothing("copy", values) if arguments.get("state", "present") == "present" else None
    tables = values.get("tables") or []
    rows, size = (sum(table.get(key) or 0 for table in tables) for key in ("rows", "bytes"))
    pace = figures.rate(size, values.get("seconds"))
    parts = [f"{figures.count(rows)} rows", figures.size(size)] + ([f"{figures.size(pace)}/s"] if pace else [])
    return Figure("copy", "done", f"{', '.join(parts)} in {plural(len(tables), 'table')}", GOOD)


def _move(arguments: Values, values: Values) -> Figure | None:
    if not values.get("changed"):
        return None
    phase = "rollback" if arguments.get("state") == "returned" else "copy"
    return Figure(phase, "done", f"{plural(len(values.get('tables') or []), 'table')} moved in place", GOOD)


def _verify(_: Values, values: Values) -> Figure | None:
    if not values.get("changed"):
        return _nothing("verify", values)
    tables = values.get("tables") or []
    rows = sum(table.get("source_rows") or 0 for table in tables)
    test = values.get("self_test") or {}
    tested = f", self-test {test['seen']}/{test['damages']}" if test.get("damages") else ""
    text = f"{figures.count(rows)} rows in {plural(len(tables), 'table')} compared by content{tested}"
    return Figure("verify", str(values["outcome"]), text, GOOD if values["outcome"] == "equal" else BAD)


def _cutover(_: Values, values: Values) -> Figure | None:
    if "opened_at" not in values:
        return _nothing("cutover", values)
    text = f"storage database accepts writes, after {figures.duration(values.get('outage_seconds'))}"
    return Figure("cutover", "OPEN", text, GOOD)


def _services(_: Values, values: Values) -> Figure | None:
    if "outage_seconds" not in values:
        return None
    done = "repointed, smoke test passed" if "written_at" in values else "repointed to the source, healthy"
    text = f"{done}; clients waited at most {figures.at_most(values['outage_seconds'])}"
    return Figure("services", "done", text, GOOD)


def _reconcile(arguments: Values, values: Values) -> Figure | None:
    phase = "rollback" if arguments.get("to") == "source" else "repair"
    tables = values.get("tables") or []
    if "compared" not in values:
        return None
    changes = [sum(table.get(key) or 0 for table in tables) for key in ("inserted", "updated", "deleted")]
    inserted, updated, deleted = map(figures.count, changes)
    compared = plural(values["compared"], "table")
    text = f"+{inserted} rows, {updated} updated, -{deleted} to the {arguments.get('to')}, {compared} compared"
    return Figure(phase, "done", text, GOOD)


def _restore(_: Values, values: Values) -> Figure | None:
    if not values.get("tables"):
        return None
    return Figure("rollback", "restored", f"{plural(len(values['tables']), 'table')} from the dump", GOOD)


def _cancel(_: Values, values: Values) -> Figure | None:
    if "opened_at" not in values:
        return _nothing("rollback", values)
    text = f"given up: the storage database accepts writes from {clock(values['opened_at'])}"
    return Figure("rollback", "OPEN", text, WARNING)


def _abandon(_: Values, values: Values) -> Figure | None:
    if "opened_at" in values:
        return Figure("abandon", "OPEN", f"the source accepts writes from {clock(values['opened_at'])}", WARNING)
    return Figure("abandon", "asked", str(values.get("msg", "")), WARNING)


def _finalize(_: Values, values: Values) -> Figure | None:
    if values.get("dropped") is not None:
        return Figure("finalize", "dropped", "what was left of the source is gone", GOOD)
    if "remains" not in values:
        return _nothing("finalize", values)
    archive = values.get("archive")
    text = f"last dump of {figures.size(archive['dump_bytes'])} verified by a test restore; " if archive else ""
    if pending := values.get("pending"):
        by_hand = f"a superuser has {plural(len(pending), 'statement')} to do"
        return Figure("finalize", "retired", f"{text}{by_hand}", WARNING)
    return Figure("finalize", "retired", f"{text}the source is closed, there is no rollback any more", GOOD)


def _rehearse(_: Values, values: Values) -> Figure | None:
    return Figure("rehearse", "measured", str(values["msg"]), GOOD) if "ticket" in values else None


FIGURES: Mapping[str, Callable[[Values, Values], Figure | None]] = {
    "pg_backup": _backup,
    "alembic_upgrade": _schema,
    "pg_fence": _fence,
    "pg_capture": _capture,
    "pg_copy": _copy,
    "pg_follow": _follow,
    "pg_proof": _proof,
    "pg_rollback": _rollback,
    "pg_move_tables": _move,
    "pg_verify_info": _verify,
    "pg_cutover": _cutover,
    "service_proof": _services,
    "pg_reconcile": _reconcile,
    "pg_restore": _restore,
    "pg_cancel_rollback": _cancel,
    "pg_abandon": _abandon,
    "pg_finalize": _finalize,
    "pg_rehearse": _rehearse,
}
