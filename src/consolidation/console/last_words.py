"""What a command has seen, and the last lines that it prints of it: at its end, or where it was stopped."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consolidation.console import command, ending
from consolidation.console.board import PHASES, Shown
from consolidation.console.figures import BAD, OUTAGE, WARNING
from consolidation.console.writes import Writes

Values = Mapping[str, Any]
SAYS = ("ansible.builtin.fail", "ansible.builtin.assert")
"""Tasks that only say why the command ends."""


@dataclass
class Seen:
    """Grows while the command works."""

    playbook: str
    given: Values
    """The options of the command line, as Ansible has them."""
    here: Path
    """The operator's working directory."""
    phases: dict[str, str] = field(default_factory=dict)
    """Host -> the phase it is in."""
    active: dict[str, str] = field(default_factory=dict)
    """Host -> the module that works for it."""
    reports: dict[str, Values] = field(default_factory=dict)
    """By run id."""
    begun: set[str] = field(default_factory=set)
    """Runs that this command has begun, resumed or rolled back."""
    findings: dict[str, list[Values]] = field(default_factory=dict)
    failures: ending.Failures = field(default_factory=ending.Failures)
    writes: Writes = field(default_factory=Writes)
    writers: dict[str, str] = field(default_factory=dict)
    """Host -> which side takes writes, by the last look at both fences."""

    @property
    def is_look(self) -> bool:
        """Whether it changes nothing."""
        return bool(self.given.get("check"))

    def begins(self, host: str, role: str, module: str, arguments: Values) -> None:
        """A task begins."""
        self.active[host] = module
        if role in PHASES:
            self.phases[host] = role
        if not self.is_look:
            self.writes.begins(host, module, arguments)

    def ends(self, host: str, module: str, arguments: Values, values: Values) -> None:
        """A task has ended well."""
        if not self.is_look or module == "run_journal_info":
            self.writes.ends(host, module, arguments, values)
        if values.get("writers"):
            self.writers[host] = str(values["writers"])
        if module in ("pg_preflight_info", "service_preflight_info", "rehearsal_preflight_info"):
            self.findings.setdefault(host, []).extend(values.get("findings") or [])
        if module == "run_journal" and (values.get("run") or {}).get("id"):
            self.begun.add(values["run"]["id"])
        if module == "run_report" and "verdict" in (report := values.get("report") or {}):
            self.reports[report["run_id"]] = report

    def fails(self, host: str, module: str, values: Values) -> None:
        """A task has failed: what was seen of the fences before it need not be so any more."""
        if values.get("writers"):
            self.writers[host] = str(values["writers"])
        elif module not in SAYS and host in self.writers:
            self.writers[host] = f"which side takes writes was not looked at since this failure: {self.status()}"

    def command(self, playbook: str = "") -> str:
        """This command again, or another playbook with the same options."""
        return command.again(playbook or self.playbook, self.given, self.here, phases=not playbook)

    def status(self) -> str:
        """The command that says the state of every database."""
        sources = "".join(f" -i {shlex.quote(str(source))}" for source in self.given.get("inventory") or ())
        carried = command.carried(self.given)
        more = f" -- {' '.join(carried)}" if carried else ""
        return command.typed(f"consolidation status{sources}{more}", self.here)

    def at_end(self, failed: Sequence[str]) -> Iterator[Shown]:
        """The outcome, each cause once, and what comes next; ``failed``: hosts that nothing has recovered."""
        # Where preflight is what was asked for, every finding is.
        if Path(self.playbook).name == "preflight.yml" or list(self.given.get("tags") or ()) == ["preflight"]:
            lines = list(ending.findings(self.findings))
        else:
            blocked = {host: found for host, found in self.findings.items() if host in failed}
            lines = list(ending.findings(blocked, ["blocker"]))
        yield from lines
        if not any(line.tone == BAD for line in lines):
            yield from ending.failures(self.failures, failed)
        # A run of another time is no result of this command.
        for report in [found for run, found in self.reports.items() if run in self.begun] or self.reports.values():
            yield from ending.report(report, check=self.is_look, typed=lambda text: command.typed(text, self.here))

    def who_writes(self, failed: Sequence[str]) -> Iterator[Shown]:
        """The last line of a command that failed: which side of each database takes writes right now."""
        known = [f"{host}: {self.writers[host]}" for host in sorted(failed) if host in self.writers]
        if known:
            yield from ending.block("Writes", "\n".join(known), WARNING)

    def when_stopped(self, *, has_run: bool) -> Iterator[Shown]:
        """Ctrl-C, or a fault of Ansible's: whether writes are refused, since when, and what to type."""
        where = ", ".join(f"{module} of {host}" for host, module in sorted(self.active.items()))
        while_ = f" while these worked: {where}" if where else ""
        phases = ", ".join(sorted({self.phases.get(host, "start") for host in self.active})) or "start"
        yield from ending.block("STOPPED", f"in phase {phases}{while_}. What is done is kept.", BAD)
        yield from ending.failures(self.failures, self.failures.hosts)
        if self.is_look:
            yield from ending.block("Writes", "nothing was changed, this was a look only")
        else:
            unknown = "not touched by this command; for one that was stopped before it see the status below"
            writes = "\n".join(self.writes.lines(datetime.now(UTC))) or unknown
            yield from ending.block("Writes", writes, OUTAGE if self.writes.refused() else WARNING)
        yield from ending.block("Resume", self.command())
        if has_run and Path(self.playbook).name != "finalize.yml":
            folder = Path(self.playbook).parent
            root = folder.parent if folder.name == "playbooks" else folder
            yield from ending.block("Rollback", self.command(str(root / "rollback.yml")))
        yield from ending.block("Status", self.status())
