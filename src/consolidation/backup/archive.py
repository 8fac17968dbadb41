"""What a dump holds, entry by entry, and what became of it in a restore.

A restore goes on after an entry that fails: an extension that needs a superuser, an event trigger, a function of
another schema is no reason to have no backup. What the run is responsible for is the source schema's tables with their
rows, keys and sequences: of these none may fail, and their content is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from consolidation.backup import programs
from consolidation.errors import BackupError

LISTED = re.compile(r"^(\d+); \d+ \d+ (.+)$")
FAILING = re.compile(r"^pg_restore: from TOC entry (\d+); ")
ERROR = "pg_restore: error: "
# Set by pg_restore since 17, whatever the server knows.
HARMLESS = 'unrecognized configuration parameter "transaction_timeout"'
RESPONSIBLE = (
    "CHECK CONSTRAINT",
    "CONSTRAINT",
    "DEFAULT",
    "DOMAIN",
    "FK CONSTRAINT",
    "INDEX ATTACH",
    "INDEX",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "SEQUENCE",
    "TABLE ATTACH",
    "TABLE DATA",
    "TABLE",
    "TYPE",
)
"""Kinds of entries, in pg_restore's words, that must be restored where they are of the source schema."""


@dataclass(frozen=True)
class Failure:
    """An entry that was not restored."""

    entry: str
    """As pg_restore lists it: kind, schema, name, owner."""
    reason: str
    """Without what could quote a row."""

    def is_of(self, schema: str) -> bool:
        """Whether the run is responsible for it: a table of the schema, its rows, a key."""
        return any(self.entry.startswith(f"{kind} {schema} ") for kind in RESPONSIBLE)

    def __str__(self) -> str:
        return f"{self.entry}: {self.reason}"


def restore(command: list[str | Path], tools: Path, dump: Path, server: str) -> tuple[Failure, ...]:
    """Run pg_restore on a dump and say which entries failed. Raises BackupError where it could not work at all.

    ``command``: with ``--verbose``, without it the entries are not named.
    """
    said = programs.run(command, may_fail=True, server=server)
    failing, general = _failing(said.splitlines())
    if general:
        raise BackupError(f"pg_restore on {server}: {general[0]}", hint=programs.advice(general[0], "", server))
    if not failing:
        return ()
    entries = listed(tools, dump)
    return tuple(Failure(entries.get(number, f"entry {number}"), reason) for number, reason in failing.items())


def listed(tools: Path, dump: Path) -> dict[int, str]:
    """Number -> entry of a dump."""
    lines = programs.read([tools / "pg_restore", "--list", dump]).splitlines()
    return {int(found[1]): found[2] for line in lines if (found := LISTED.match(line))}


def _failing(lines: Iterable[str]) -> tuple[dict[int, str], list[str]]:
    """Reasons by the number of the entry, and those that belong to none."""
    failing: dict[int, str] = {}
    general = []
    entry = None
    for line in lines:
        if found := FAILING.match(line):
            entry = int(found[1])
        elif line.startswith(ERROR) and HARMLESS not in line:
            ours, _, theirs = line.removeprefix(ERROR).partition("ERROR:")
            reason = f"{ours.strip()} {programs.without_rows(theirs)}".strip()
            if entry is None:
                general.append(reason)
            else:
                failing.setdefault(entry, reason)
    return failing, general
