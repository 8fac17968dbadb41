"""Collects what the modules would do, from their results in check mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consolidation.modes.choice import follows

Values = Mapping[str, Any]

SOURCE, TARGET, GRANTS, CONFIGURATION, OTHER = "source", "target", "grants", "configuration", "other"
KINDS = (SOURCE, TARGET, GRANTS, CONFIGURATION, OTHER)
"""What is changed, in the page's order."""
STEPS = {
    "run_journal": (OTHER, "journal"),
    "pg_backup": (OTHER, "backup"),
    "alembic_upgrade": (TARGET, "schema"),
    "storage_service_schema": (TARGET, "schema of the Storage Service"),
    "pg_grant": (GRANTS, "grants"),
    "pg_fence": (SOURCE, "fence"),
    "service_config": (CONFIGURATION, "configuration"),
    "pg_capture": (SOURCE, "capture"),
    "pg_copy": (OTHER, "copy"),
    "pg_follow": (OTHER, "follow"),
    "pg_move_tables": (TARGET, "move"),
    "pg_verify_info": (OTHER, "verify"),
    "pg_cutover": (TARGET, "cutover"),
    "pg_proof": (OTHER, "proof"),
    "pg_rollback": (OTHER, "rollback"),
    "service_proof": (OTHER, "services"),
    "pg_reconcile": (OTHER, "rollback"),
    "pg_restore": (SOURCE, "restore"),
}
"""Module -> (kind, step)."""


@dataclass(frozen=True)
class Change:
    """One thing that would be changed."""

    kind: str
    step: str
    title: str
    text: str
    """SQL, a diff, or sentences."""


@dataclass
class Database:
    """What is known of one database."""

    name: str
    tables: list[Values] = field(default_factory=list)
    findings: list[Values] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    revisions: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    """Hosts that are reconfigured."""
    online: bool = False
    """Whether its source is followed, not closed for the copy."""


class Collector:
    """Follows the results of a playbook in check mode."""

    def __init__(self) -> None:
        self.databases: dict[str, Database] = {}
        self.saw_steps = False

    def add(self, host: str, module: str, arguments: Values, values: Values) -> None:
        """A module's result."""
        if module not in STEPS and module not in (
            "pg_preflight_info",
            "service_preflight_info",
            "rehearsal_preflight_info",
        ):
            return
        database = self.databases.setdefault(host, Database(host))
        given = arguments.get("database")
        database.online |= isinstance(given, Mapping) and follows(str(given.get("mode")))
        database.findings += values.get("findings") or []
        database.tables += values.get("tables") or [] if module == "pg_preflight_info" else []
        if module == "alembic_upgrade":
            database.revisions += [str(each) for each in values.get("pending") or []]
        if module in STEPS:
            self.saw_steps = True
            self._change(database, module, arguments, values)

    def _change(self, database: Database, module: str, arguments: Values, values: Values) -> None:
        kind, step = STEPS[module]
        if module in ("pg_fence", "pg_capture") and arguments.get("side") == "target":
            kind = TARGET
        text = diff_text(values.get("diff"))
        if module == "pg_cutover" and not text:  # before the first run nothing is built that could be opened
            names = [str(table["name"]).rpartition(".")[2] for table in database.tables]
            text = "\n".join(f"open {database.name}.{name} to its roles" for name in names)
        elif not values.get("changed"):
            return
        if not text:
            return
        title = str(values.get("msg") or step)
        change = Change(kind, step, title.partition("\n")[0], text)
        if change not in database.changes:
            database.changes.append(change)


def diff_text(diff: Any) -> str:
    """A module's diff for people: what is prepared, or each line that goes and comes."""
    parts = diff if isinstance(diff, list) else [diff]
    lines: list[str] = []
    for part in parts:
        if not isinstance(part, Mapping):
            continue
        if part.get("prepared"):
            lines += str(part["prepared"]).rstrip().splitlines()
        before, after = (str(part.get(key) or "").splitlines() for key in ("before", "after"))
        if before != after:
            lines += [f"--- {part['before_header']}"] if part.get("before_header") else []
            lines += [f"- {line}" for line in before if line not in after]
            lines += [f"+ {line}" for line in after if line not in before]
    return "\n".join(lines)
