"""No refusal behind the fence is new to preflight: what can raise there for a reason that stood before has a finding.

Every place from the fence to the cutover that raises is listed with the findings that foretell it, or with
why nothing can: a new one that is in no row fails here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import consolidation
from consolidation.preflight.kinds import KINDS

CORE = Path(consolidation.__file__).parent
ROOMS = ("fence", "copy", "move", "verify", "cutover", "follow", "postgres/locks.py")
ARISES = "comes up within the window: someone or something changes while it works"
ORDER = "phases out of order, or a run that is not as both sides are: run.conflict, docs/states.md"
FAULT = "a process, a server or a disk fails within the window; the same command resumes"
DATA = "what the verification is for: rows that differ"
BUDGET = "how long it takes, which no look before it can know: the gate and the budget"
SETTINGS = ("source.role.setting", "target.role.setting")
LOCKS = ("source.transaction.long", "source.transaction.prepared", "source.lock.held", "target.lock.held")
RIGHTS = (
    "source.role.cannot_fence",
    "source.role.cannot_probe",
    "source.rule.instead",
    "source.application_role.missing",
)

FORETOLD: dict[str, tuple[str, ...] | str] = {
    "fence/phase.py::plan": ORDER,
    "fence/phase.py::_close": ("source.table.none",),
    "fence/probe.py::probe": RIGHTS,
    "fence/probe.py::require_open": ("target.application_role.read_only", "target.application_role.missing"),
    "fence/sides.py::require_no_conflict": ("run.conflict",),
    "fence/state.py::require_unbroken": ARISES,
    "postgres/locks.py::limited": LOCKS,
    "copy/helper.py::join": FAULT,
    "copy/helper.py::_await": ORDER,
    "copy/helper.py::_require_same_packages": "the role runner checks every runner before the run begins",
    "copy/loads.py::matched": (
        "schema.table.missing",
        "schema.column.missing",
        "schema.column.extra",
        "schema.table.extra",
    ),
    "copy/loads.py::_require_empty": ARISES,
    "copy/noted.py::require_captured": ORDER,
    "copy/phase.py::plan": ("target.table.not_empty",),
    "copy/phase.py::_snapshot": ARISES,
    "copy/phase.py::_require_fences": ORDER,
    "copy/phase.py::_require_loaded": FAULT,
    "copy/phase.py::_require_counts": FAULT,
    "copy/stream.py::stream": FAULT,
    "copy/worker.py::_next_chunk": FAULT,
    "move/phase.py::_require_fence": ORDER,
    "move/phase.py::_require_equal_to_lineage": ("schema.move.differs",),
    "verify/phase.py::apply": ARISES,
    "verify/phase.py::_require_fences": ORDER,
    "verify/phase.py::_require_one_encoding": ("target.encoding.differs",),
    "verify/phase.py::_require_equal": DATA,
    "verify/reread.py::_ask": FAULT,
    "verify/reread.py::row_sum": FAULT,
    "verify/selftest.py::run": (*SETTINGS, "target.role.cannot_create_schema"),
    "cutover/online.py::_require": ORDER,
    "cutover/phase.py::_require": ORDER,
    "cutover/phase.py::_require_as_verified": ARISES,
    "follow/aside.py::put": ("target.lock.held", "source.lock.held"),
    "follow/changeover.py::catch_up": BUDGET,
    "follow/changeover.py::_require_prepared": ORDER,
    "follow/changeover.py::_reopened_on_failure": FAULT,
    "follow/changeover.py::_left": BUDGET,
    "follow/changeover.py::_last_rounds": ARISES,
    "follow/changeover.py::_require_closed_since": ARISES,
    "follow/changeover.py::_journal": FAULT,
    "follow/phase.py::_require_loaded": ORDER,
    "follow/phase.py::__call__": BUDGET,
    "follow/phase.py::_hold": FAULT,
    "follow/proof.py::apply": DATA,
    "follow/verification.py::apply": DATA,
    "follow/rounds.py::round": ARISES,
    "follow/rows.py::require_equal": DATA,
    "follow/way.py::followed": ("schema.table.missing", "schema.table.extra"),
    "follow/way.py::require_captured": ORDER,
    "follow/way.py::require_closed": ORDER,
}


def _raising() -> Iterator[str]:
    """``file::function`` of every statement that raises an error of its own."""
    paths = [
        path for room in ROOMS for path in ([CORE / room] if room.endswith(".py") else (CORE / room).rglob("*.py"))
    ]
    for path in paths:
        functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
        for node in functions:
            inner = [each for each in ast.walk(node) if isinstance(each, ast.FunctionDef) and each is not node]
            nested = {id(part) for each in inner for part in ast.walk(each)}
            if any(
                isinstance(part, ast.Raise) and isinstance(part.exc, ast.Call) and id(part) not in nested
                for part in ast.walk(node)
            ):
                yield f"{path.relative_to(CORE)}::{node.name}"


def test_what_can_stop_the_run_behind_the_fence_is_foretold_or_cannot_be() -> None:
    raising = set(_raising())
    assert raising - FORETOLD.keys() == set(), "say which finding of preflight foretells it, or why none can"
    assert FORETOLD.keys() - raising == set(), "does not raise any more"


def test_the_findings_exist() -> None:
    named = {kind for kinds in FORETOLD.values() if isinstance(kinds, tuple) for kind in kinds}
    assert named - set(KINDS) == set()
