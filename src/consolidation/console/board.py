"""The operator's screen, line by line: one line for each phase and database, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from consolidation import text as figures
from consolidation.console.figures import BAD, GOOD, PLAIN, WARNING, Figure, figure, findings, plural

PHASES = frozenset(
    {"preflight", "backup", "schema", "capture", "copy", "follow", "verify", "fence", "cutover", "rollback"}
    | {"rehearse", "finalize", "report"}
)
"""Roles that are phases. What other roles do belongs to the phase that called them."""
ASIDE = frozenset({"", "command_line", "journal", "report"})
"""Roles whose end is no news."""
COVERED = frozenset({"preflight", "services", "verify"})
"""Roles whose messages a line of ours holds; those of the others are for the operator."""
DEBUG = "ansible.builtin.debug"
DEFERRED = frozenset({"preflight", "schema"})
"""Phases of several results: shown when the next one begins."""
PHASE_WIDTH, STATE_WIDTH, SECONDS_WIDTH = 10, 10, 10
MOST_WARNINGS = 12


@dataclass(frozen=True)
class Shown:
    """A line, and how it is meant."""

    text: str
    tone: str = PLAIN


@dataclass(frozen=True)
class Event:
    """A task that has ended on a host."""

    host: str
    role: str
    module: str
    arguments: Mapping[str, Any]
    values: Mapping[str, Any]
    status: str
    """``ok``, ``failed``, ``unreachable`` or ``ignored`` (a failure that stops nothing)."""
    seconds: float


@dataclass
class Host:
    """What was shown of a database."""

    phase: str = ""
    since: float = 0.0
    began: float = 0.0
    """When what is deferred began, where that was before the phase."""
    deferred: Figure | None = None
    failed_in: str = ""
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    changed: int = 0
    shown: bool = False
    printed: set[str] = field(default_factory=set)
    """What its lines have said: no message says it once more."""


class Board:
    """Turns what tasks return into lines."""

    def __init__(self, *, check: bool = False, now: Callable[[], float] = time.monotonic) -> None:
        self._check = check
        self._now = now
        self._hosts: dict[str, Host] = {}
        self._runs: set[tuple[str, str]] = set()
        self._warnings: dict[tuple[str, str, str], list[str]] = {}
        """(id, subject, what) -> databases."""

    def starts(self, host: str, role: str) -> Iterator[Shown]:
        """A task begins on a host."""
        found = self._hosts.setdefault(host, Host())
        if role in PHASES and role != found.phase:
            if found.deferred and found.deferred.phase != role:
                yield from self._flush(host)
            found.phase, found.since = role, self._now()
        found.phase = found.phase or role

    def ends(self, event: Event) -> Iterator[Shown]:
        """A task has ended."""
        host = self._hosts.setdefault(event.host, Host(event.role, self._now()))
        if event.status in ("failed", "unreachable"):
            yield from self._failed(event)
            return
        if event.status == "ignored":
            yield self._line(event.host, Figure(host.phase, "warning", "a helper failed; it goes on without", WARNING))
            return
        host.changed += bool(event.values.get("changed"))
        if event.module == DEBUG and event.role not in COVERED:
            yield from self._message(event)
        elif event.module == "run_journal":
            yield from self._run(event)
        elif event.module in ("pg_preflight_info", "service_preflight_info", "rehearsal_preflight_info"):
            self._preflight(event)
        elif not self._check and (found := figure(event.module, event.arguments, event.values)):
            if found.phase in DEFERRED:
                host.deferred = found
            else:
                yield self._line(event.host, found, event.seconds)

    def play_ends(self) -> Iterator[Shown]:
        """Everything that is known is shown."""
        for host in self._hosts:
            yield from self._flush(host)
        yield from self._show_warnings()

    def rest(self) -> Iterator[Shown]:
        """At the end: where nothing was shown of any host, a line for each that changed something or could have."""
        yield from self.play_ends()
        if self._check or any(host.shown or host.failed_in for host in self._hosts.values()):
            return
        for name, host in self._hosts.items():
            if host.phase not in ASIDE:
                done = f"{plural(host.changed, 'change')}" if host.changed else "nothing to change"
                yield self._line(name, Figure(host.phase, "done", done, GOOD), self._now() - host.since)

    def _flush(self, name: str) -> Iterator[Shown]:
        host = self._hosts[name]
        if host.deferred is not None:
            yield self._line(name, host.deferred, self._now() - (host.began or host.since))
            host.began = 0.0
            host.deferred = None

    def _message(self, event: Event) -> Iterator[Shown]:
        """What a role has to say: a reason, or the sentence of a consent that is to be typed."""
        host = self._hosts[event.host]
        lines = str(event.values.get("msg", "")).strip().splitlines() or [""]
        first, *rest = [line for line in lines if line not in host.printed] or [""]
        if not first and host.printed:
            return
        yield self._line(event.host, Figure(host.phase, "note", first, WARNING))
        yield from (Shown(f"{'':{PHASE_WIDTH}} {line}", WARNING) for line in rest)

    def _preflight(self, event: Event) -> None:
        host = self._hosts[event.host]
        for place, number in enumerate(findings(event.values)):
            host.counts[place] += number
        for finding in event.values.get("findings") or []:
            if finding.get("severity") == "warning":
                key = (finding["id"], finding.get("subject", ""), str(finding.get("what", "")).partition("\n")[0])
                self._warnings.setdefault(key, []).append(event.host)
        blockers, warnings, infos = host.counts
        counts = ", ".join(plural(*each) for each in ((blockers, "blocker"), (warnings, "warning"), (infos, "info")))
        size = host.deferred.text.rpartition("; ")[0] if host.deferred else ""
        if tables := event.values.get("tables"):
            rows, size_bytes = (sum(table.get(key) or 0 for table in tables) for key in ("rows", "bytes"))
            size = f"{plural(len(tables), 'table')}, about {figures.count(rows)} rows, {figures.size(size_bytes)}"
        if not host.deferred:
            host.began = self._now() - event.seconds
        state, tone = ("BLOCKED", BAD) if blockers else ("ok", WARNING if warnings else GOOD)
        host.deferred = Figure("preflight", state, f"{size}; {counts}" if size else counts, tone)

    def _show_warnings(self) -> Iterator[Shown]:
        found = list(self._warnings.items())
        self._warnings.clear()
        for (identity, subject, what), hosts in found[:MOST_WARNINGS]:
            where = ", ".join(sorted(set(hosts)))
            yield Shown(f"{'':{PHASE_WIDTH}} warning    {identity} {subject} ({where}): {what}", WARNING)
        if len(found) > MOST_WARNINGS:
            yield Shown(f"{'':{PHASE_WIDTH}} {len(found) - MOST_WARNINGS} more warnings: see the report", WARNING)

    def _run(self, event: Event) -> Iterator[Shown]:
        run, changed = event.values.get("run") or {}, bool(event.values.get("changed"))
        key = (str(run.get("id")), str(run.get("state")))
        ends = key[1] in ("migrated", "rolled_back")
        if not run or key in self._runs or (ends and (changed or any(key[0] == shown for shown, _ in self._runs))):
            return
        self._runs.add(key)
        if ends:
            text = f"is {key[1].replace('_', ' ')} already, nothing is done again"
        elif changed:
            text = "begins" if key[1] == "migrating" else "is being rolled back"
        else:
            text = "resumes where it stopped"
        yield Shown(
            f"{'run':{PHASE_WIDTH}} {run['id']} {text}{', begun' * (text != 'begins')} by {run.get('operator')}"
        )

    def _failed(self, event: Event) -> Iterator[Shown]:
        host = self._hosts[event.host]
        host.deferred = host.deferred if host.deferred and host.deferred.state == "BLOCKED" else None
        if host.deferred:  # what is failed is said by the line itself
            yield from self._flush(event.host)
            host.failed_in = host.phase
            return
        phase = host.phase if host.phase in PHASES else "start"
        if host.failed_in == phase or (host.failed_in and event.module.endswith("fail")):
            return  # a rescue repeats what it was for
        host.failed_in = phase
        state = "FAILED" if event.status == "failed" else "NO ANSWER"
        yield self._line(event.host, Figure(phase, state, "see the reason at the end", BAD), event.seconds)

    def _line(self, name: str, found: Figure, seconds: float | None = None) -> Shown:
        self._hosts[name].shown = True
        self._hosts[name].printed.add(found.text)
        width = max(12, *(len(host) for host in self._hosts))
        took = figures.duration(seconds) if seconds is not None else ""
        text = f"{found.phase:{PHASE_WIDTH}} {name:{width}} {found.state:{STATE_WIDTH}} {took:>{SECONDS_WIDTH}}  "
        return Shown(f"{text}{found.text.removeprefix(f'{name}: ')}".rstrip(), found.tone)
