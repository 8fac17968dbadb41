"""No refusal behind the fence is new to preflight: what can raise there for a reason that stood before has a finding.

Every ``raise`` that a phase from the fence to the cutover can reach is listed with the findings that foretell it, or
with why nothing can: one more fails here, in a listed function as well.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import consolidation
from consolidation.preflight.kinds import KINDS

CORE = Path(consolidation.__file__).parent
PHASES = ("capture/phase.py", "copy/helper.py", "copy/phase.py", "copy/worker.py", "cutover/phase.py", "fence/phase.py",
          "follow/phase.py", "follow/proof.py", "follow/verification.py", "move/phase.py", "verify/phase.py",
          "compare/reread.py")  # fmt: skip
ARISES = "comes up within the window: someone or something changes while it works"
ORDER = "phases out of order, or a run that is not as both sides are: run.conflict, docs/states.md"
FAULT = "a process, a server or a disk fails within the window; the same command resumes"
DATA = "what the verification is for: rows that differ"
BUDGET = "how long it takes, which no look before it can know: the gate and the budget"
LOOKED_AT = "the look at the built target, before the fence (schema.built)"
BEFORE = "every module reads it first: no run comes as far as the fence"
CAUGHT = "is caught where it is called: a table is could_not_compare then"
BUG = "a mistake of ours"
SETTINGS = ("source.role.setting", "target.role.setting")
TEMPORARY = ("source.role.cannot_create_temporary", "target.role.cannot_create_temporary")
LOCKS = ("source.transaction.long", "source.transaction.prepared", "source.lock.held", "source.table.age",
         "target.lock.held", "target.transaction.long", "target.transaction.prepared")  # fmt: skip
PROBE = (
    "source.role.cannot_fence",
    "source.role.cannot_probe",
    "source.rule.instead",
    "source.application_role.missing",
    "target.role.cannot_probe",
    "target.application_role.missing",
    "target.application_role.read_only",
    "target.application_role.cannot_connect",
)
CONNECT = ("source.connection.failed", "target.connection.failed", "source.role.cannot_connect",
           "target.role.cannot_connect", "source.connections.few", "target.connections.few")  # fmt: skip
STATEMENTS = (
    # rights
    "source.role.cannot_read", "source.role.cannot_write", "source.role.cannot_fence", "source.role.row_security",
    "source.role.cannot_create_schema", "source.role.cannot_use_schema", "target.role.cannot_create_schema",
    "target.role.cannot_use_schema", "target.role.cannot_fence", "target.role.row_security", *TEMPORARY,
    # what servers say to long or large ones
    "source.role.timeout", "target.role.timeout", "source.locks.few", "target.locks.few", "source.standby",
    "target.standby", "source.backup.value_too_large", "target.disk.not_visible",
    # rows that the target refuses
    "data.null", "data.too_long", "data.not_jsonb", "data.orphan", "data.duplicate", "data.check_violated",
    "data.reference_unchecked", "schema.column.type", "schema.column.object_identifier", "source.backup.function",
    "source.backup.check_reads", "source.object.partitioned_table", "source.extension.missing",
)  # fmt: skip

FORETOLD: dict[str, tuple[str, ...] | str] = {
    "fence/phase.py::plan": ORDER,
    "fence/phase.py::_close": ("source.table.none",),
    "fence/probe.py::probe": PROBE,
    "fence/probe.py::require_open": LOOKED_AT,
    "fence/state.py::require_unbroken": ARISES,
    "fence/state.py::require_unbroken 2": ARISES,
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
    "copy/noted.py::require_captured 2": ORDER,
    "copy/phase.py::plan": ("target.table.not_empty",),
    "copy/phase.py::_snapshot": ARISES,
    "copy/phase.py::_require_fences": ORDER,
    "compare/row_hash.py::row_sum": FAULT,
    "copy/phase.py::_require_loaded": FAULT,
    "copy/phase.py::_require_counts": FAULT,
    "copy/stream.py::stream": FAULT,
    "copy/stream.py::stream 2": FAULT,
    "copy/worker.py::_next_chunk": FAULT,
    "move/phase.py::_require_fence": ORDER,
    "move/phase.py::_require_equal_to_lineage": ("schema.move.differs",),
    "verify/phase.py::apply": ARISES,
    "verify/phase.py::_require_fences": ORDER,
    "verify/phase.py::_require_one_encoding": ("target.encoding.differs",),
    "verify/phase.py::_require_equal": DATA,
    "compare/reread.py::_ask": FAULT,
    "verify/selftest.py::run": TEMPORARY,
    "verify/selftest.py::run 2": SETTINGS,
    "cutover/online.py::_require": ORDER,
    "cutover/online.py::_require 2": ORDER,
    "cutover/online.py::_require 3": ORDER,
    "cutover/phase.py::_require": ORDER,
    "cutover/phase.py::_require 2": ORDER,
    "cutover/phase.py::_require 3": ORDER,
    "cutover/phase.py::_require_as_verified": ARISES,
    "follow/aside.py::put": ("target.lock.held", "source.lock.held"),
    "follow/changeover.py::catch_up": BUDGET,
    "follow/changeover.py::_require_prepared": ORDER,
    "follow/changeover.py::_require_prepared 2": ORDER,
    "follow/changeover.py::_reopened_on_failure": FAULT,
    "follow/changeover.py::_left": BUDGET,
    "follow/changeover.py::_last_rounds": ARISES,
    "follow/changeover.py::_require_closed_since": ARISES,
    "follow/changeover.py::_require_closed_since 2": ARISES,
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
    "follow/way.py::require_closed 2": ORDER,
    "capture/phase.py::plan": ORDER,
    "compare/digest.py::comparison": CAUGHT,
    "compare/digest.py::_common_form": CAUGHT,
    "compare/row_hash.py::_without_header": FAULT,
    "journal/phase.py::recorded": FAULT,
    "journal/phase.py::require_entered": ORDER,
    "journal/phase.py::require_entered 2": ORDER,
    "journal/phase.py::_end": FAULT,
    "journal/phase.py::_refuse_others": ("run.unfinished",),
    "journal/records.py::current_run": ORDER,
    "journal/records.py::current_run 2": ORDER,
    "journal/state.py::skip_reason": ORDER,
    "journal/state.py::require": ORDER,
    "journal/state.py::require 2": ORDER,
    "journal/state.py::require 3": ORDER,
    "journal/state.py::require 4": ORDER,
    "lineage/alembic.py::check": LOOKED_AT,
    "lineage/alembic.py::applied_revisions": ("target.lineage.unknown_revision",),
    "lineage/alembic.py::alembic_session": STATEMENTS,
    "lineage/alembic.py::alembic_session 2": LOOKED_AT,
    "lineage/models.py::lineage_metadata": ("runner.lineage.missing",),
    "model.py::from_options": BEFORE,
    "model.py::strategy": BEFORE,
    "postgres/catalog.py::column": BUG,
    "postgres/connection.py::connect": CONNECT,
    "postgres/connection.py::_open": CONNECT,
    "postgres/connection.py::_require_settings": CONNECT,
    "postgres/connection.py::_require_settings 2": SETTINGS,
    "postgres/connection.py::_require_settings 3": CONNECT,
    "postgres/connection.py::_limited": CONNECT,
    "postgres/connection.py::session": STATEMENTS,
    "postgres/durability.py::await_standbys": ("source.standby.synchronous_away", "target.standby.synchronous_away"),
    "postgres/locks.py::take": LOCKS,
    "postgres/snapshot.py::join": FAULT,
    "progress/reporter.py::write": FAULT,
}


def _reached() -> set[Path]:
    """The modules of the phases and all that they import."""
    seen: set[Path] = set()
    wanted = [CORE / name for name in PHASES]
    while wanted:
        path = wanted.pop()
        if path not in seen:
            seen.add(path)
            wanted += _imported(path)
    return seen


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("consolidation"):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            files = [CORE.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in names]
            yield from (file for file in files if file.is_file())


def _raising() -> Iterator[str]:
    """``file::function`` of every statement that raises an error of its own; ``… 2`` is the second of its function."""
    for path in _reached():
        functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
        counted: Counter[str] = Counter()
        for node in functions:
            inner = [each for each in ast.walk(node) if isinstance(each, ast.FunctionDef) and each is not node]
            nested = {id(part) for each in inner for part in ast.walk(each)}
            for part in ast.walk(node):
                if isinstance(part, ast.Raise) and part.exc is not None and id(part) not in nested:
                    name = f"{path.relative_to(CORE)}::{node.name}"
                    counted[name] += 1
                    yield name if counted[name] == 1 else f"{name} {counted[name]}"


def test_what_can_stop_the_run_behind_the_fence_is_foretold_or_cannot_be() -> None:
    raising = set(_raising())
    assert len(_reached()) > 60
    assert raising - FORETOLD.keys() == set(), "say which finding of preflight foretells it, or why none can"
    assert FORETOLD.keys() - raising == set(), "does not raise any more"


def test_the_findings_exist() -> None:
    named = {kind for kinds in FORETOLD.values() if isinstance(kinds, tuple) for kind in kinds}
    assert named - set(KINDS) == set()
