"""What a dump holds, entry by entry, and what became of it in a restore.

A restore goes on after an entry that fails: an extension that needs a superuser, an event trigger, a function of
another schema is no reason to have no backup. What the run is responsible for is the source schema's tables with their
rows, keys and sequences: of these none may fail, and their content is compared.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consolidation.backup import programs
from consolidation.errors import BackupError

ERROR = "pg_restore: error: "
LEAD = re.compile(r"(?:pg_restore:| |error: )*")
"""pg_restore writes what stands before a message in these pieces, and the message with its end in one. Workers write
between each other's pieces: of a line's pieces no one knows whose they are."""
LISTED = re.compile(r"^(\d+); \d+ \d+ (.+)$")
FAILING = re.compile(r"^pg_restore: from TOC entry (\d+); ")
# pg_restore since 17 sets it in each of its sessions, whatever the server knows. By the name, which any language has in
# the message; not by the next line: workers write theirs in between.
HARMLESS = re.compile(r"could not execute query: \S+:  .*\btransaction_timeout\b")
DEFINES = re.compile(
    r"(ACCESS METHOD|AGGREGATE|CAST|COLLATION|CONVERSION|DEFAULT|DOMAIN|EXTENSION|FUNCTION|OPERATOR|PROCEDURAL LANGUAGE"
    r"|PROCEDURE|SCHEMA|SEQUENCE(?! SET)|SHELL TYPE|TABLE(?! DATA| ATTACH)|TEXT SEARCH|TRANSFORM|TYPE|VIEW) "
)
"""Kinds of entries that are made before any row is read, and so before workers write between each other's lines: what a
server says of them, in any language, quotes no row."""
LOST = "another worker of pg_restore wrote into the line with the reason; the server's log has it"
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
    refusals = tuple(_refusals(said.splitlines()))
    if not refusals:
        return ()
    if general := [refusal.reason for refusal in refusals if refusal.entry is None]:
        raise BackupError(f"pg_restore on {server}: {general[0]}", hint=programs.advice(general[0], "", server))
    return _failures(refusals, listed(tools, dump))


def listed(tools: Path, dump: Path) -> dict[int, str]:
    """Number -> entry of a dump."""
    lines = programs.read([tools / "pg_restore", "--list", dump]).splitlines()
    return {int(found[1]): found[2] for line in lines if (found := LISTED.match(line))}


@contextmanager
def list_without(kind: str, tools: Path, dump: Path) -> Iterator[str]:
    """Option of pg_restore that leaves a kind of entries out."""
    lines = programs.read([tools / "pg_restore", "--list", dump]).splitlines()
    wanted = [line for line in lines if not ((found := LISTED.match(line)) and found[2].startswith(f"{kind} "))]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="consolidation-") as listing:
        listing.write("\n".join(wanted) + "\n")
        listing.flush()
        yield f"--use-list={listing.name}"


@dataclass(frozen=True)
class _Refusal:
    """An error of pg_restore."""

    entry: int | None
    """Its number; None where it belongs to none."""
    ours: str
    theirs: str

    @property
    def whole(self) -> str:
        return f"{self.ours} {self.theirs}".strip()

    @property
    def reason(self) -> str:
        return f"{self.ours} {programs.without_rows(self.theirs)}".strip()


def _failures(refusals: Iterable[_Refusal], entries: Mapping[int, str]) -> tuple[Failure, ...]:
    """The entries that failed, each with its first reason."""
    failures: dict[str, Failure] = {}
    for refusal in refusals:
        entry = entries.get(refusal.entry or 0, f"entry {refusal.entry}")
        failures.setdefault(entry, Failure(entry, refusal.whole if DEFINES.match(entry) else refusal.reason))
    return tuple(failures.values())


def _refusals(lines: Sequence[str]) -> Iterator[_Refusal]:
    """The errors that pg_restore named, without those that do no harm; as many as there are, or more."""
    messages = [LEAD.sub("", line, count=1) for line in lines]
    leads = [line.removesuffix(message) for line, message in zip(lines, messages, strict=True)]
    harmful = sum(lead.count("error: ") for lead in leads) - sum(HARMLESS.search(line) is not None for line in lines)
    entry, named = None, 0
    for line, lead, message in zip(lines, leads, messages, strict=True) if harmful else ():
        if found := FAILING.match(line):
            entry = int(found[1])
        elif "error: " in lead and not HARMLESS.match(message):
            named += 1
            yield _Refusal(entry, *(programs.split(message) if lead == ERROR else (LOST, "")))
    for _ in range(harmful - named):
        yield _Refusal(entry, LOST, "")
