"""The last lines: the outcome, what went wrong and what to type next, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from consolidation import text as figures
from consolidation.console.board import Shown
from consolidation.console.figures import BAD, GOOD, OUTAGE, PLAIN, WARNING, clock

LABEL_WIDTH = 10
MOST_CAUSES = 5
NEXT = "\nNext: "
TONES = {"migrated": GOOD, "finalized": GOOD, "rolled back": GOOD, "running": PLAIN}


class Failures:
    """What failed, each cause once: a rescue repeats it, and other databases may fail for the same."""

    def __init__(self) -> None:
        self._messages: dict[str, list[str]] = {}
        """Host -> its messages, in their order."""

    def add(self, host: str, message: str) -> bool:
        """Whether it is news; a message that holds an earlier one of the host replaces it."""
        known = self._messages.setdefault(host, [])
        cause = message.partition(NEXT)[0].strip()
        for place, earlier in enumerate(known):
            if earlier.partition(NEXT)[0].strip() in message:
                known[place] = message
                return False
            if cause in earlier:
                return False
        known.append(message)
        return True

    @property
    def hosts(self) -> list[str]:
        """Those that failed at any time."""
        return list(self._messages)

    def of(self, hosts: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
        """Hosts, by name -> the messages that they share, without the host's name before each."""
        shared: dict[str, list[str]] = {}
        for host in sorted(self._messages):
            if host in hosts:
                for message in self._messages[host]:
                    shared.setdefault(message.removeprefix(f"{host}: "), []).append(host)
        found: dict[tuple[str, ...], list[str]] = {}
        for message, of in shared.items():
            found.setdefault(tuple(of), []).append(message)
        return found


def block(label: str, text: str, tone: str = PLAIN) -> Iterator[Shown]:
    """A label and its text; further lines are indented below it."""
    for number, line in enumerate(text.splitlines() or [""]):
        yield Shown(f"{label if number == 0 else '':{LABEL_WIDTH}} {line}".rstrip(), tone)


def failures(found: Failures, failed: Sequence[str]) -> Iterator[Shown]:
    """Cause and what to do next, for each."""
    shown = 0
    for hosts, messages in found.of(failed).items():
        for message in messages:
            shown += 1
            if shown > MOST_CAUSES:
                continue
            cause, _, advice = message.partition(NEXT)
            yield from block("Cause", f"{', '.join(hosts)}: {cause.strip()}", BAD)
            if advice:
                yield from block("Fix", advice.strip(), WARNING)
    if shown > MOST_CAUSES:
        yield from block("", f"{shown - MOST_CAUSES} more: see the log")


SEVERITIES = {"blocker": BAD, "warning": WARNING, "info": PLAIN}


def findings(
    of_hosts: Mapping[str, Sequence[Mapping[str, Any]]], severities: Sequence[str] = tuple(SEVERITIES)
) -> Iterator[Shown]:
    """The findings of a preflight with their fixes, each once, the worst first; host -> findings."""
    shared: dict[tuple[str, str, str, str, str], list[str]] = {}
    for host, found in sorted(of_hosts.items()):
        for each in found:
            words = (each.get("subject", ""), each.get("what", ""), each.get("fix", ""))
            shared.setdefault((each["severity"], each["id"], *words), []).append(host)
    for wanted in severities:
        for (severity, identity, subject, what, fix), hosts in shared.items():
            if severity == wanted:
                where = ", ".join(dict.fromkeys(hosts))
                yield from block(severity.capitalize(), f"{identity} {subject} ({where})\n{what}", SEVERITIES[severity])
                yield from block("Fix", fix)


def report(content: Mapping[str, Any], *, check: bool, typed: Callable[[str], str] = str) -> Iterator[Shown]:
    """The outcome of a run, how long writes were refused, the next commands and the report.

    typed: what a command line is typed as in the operator's shell.
    """
    outcome = content["outcome"]
    yield from block(outcome.upper(), f"run {content['run_id']}: {content['verdict']}", TONES.get(outcome, BAD))
    outages = content.get("outages", {})
    width = max((len(database) for database in outages), default=0)
    lines = [
        (f"{database if number == 0 else '':{width}}  {text}", tone)
        for database, shut in outages.items()
        for number, (text, tone) in enumerate(_outages(shut))
    ]
    for number, (text, tone) in enumerate(lines):
        yield from block("Outage" if number == 0 else "", text, tone)
    for command in content["next"]:
        yield from block("Resume", f"{typed(command['command'])}\n{', '.join(command['databases'])}: {command['text']}")
    for command in content["rollbacks"]:
        text = f"{typed(command['command'])}\n{', '.join(command['databases'])}: available {command['until']}"
        yield from block("Rollback", text)
    if not check:
        yield from block("Report", content["path"])


def _outages(shut: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    own, of_services = shut.get("outages", []), shut.get("service_outages", [])
    for outage, of_service in zip_longest(own, of_services if len(of_services) in (0, len(own)) else []):
        if outage["seconds"] is None:
            yield f"WRITES ARE REFUSED since {clock(outage['closed_at'])}", OUTAGE
            continue
        text = f"{figures.duration(outage['seconds'])} until {outage['opened']} was open"
        if of_service and of_service["seconds"] is not None:
            text += f"; clients of the services waited at most {figures.at_most(of_service['seconds'])}"
        yield text, PLAIN
    if of_services and len(of_services) != len(own) and of_services[-1]["seconds"] is not None:
        seconds = figures.at_most(of_services[-1]["seconds"])
        yield f"{seconds} at most for clients of the services, until {of_services[-1]['seen']}", PLAIN
