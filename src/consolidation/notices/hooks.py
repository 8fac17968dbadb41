"""Hooks: a command or an HTTP POST of the inventory for an event of a run, with a JSON body and a limit.

    python -m consolidation.notices.hooks < NOTICE

delivers one, ``{"hooks": [...], "body": {...}}``, and prints the failures as a JSON list. Messages name a hook by its
program or its host only: arguments and paths may be secrets.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from consolidation.errors import ConfigurationError, StepRefused

BEGIN, FENCE, OPENED, HOLD, FAILED, ROLLED_BACK, FINISHED = EVENTS = (
    "begin",
    "fence",
    "opened",
    "hold",
    "failed",
    "rolled_back",
    "finished",
)
LIMIT_SECONDS = 10.0
KEYS = frozenset({"events", "command", "url", "timeout_seconds"})


@dataclass(frozen=True)
class Hook:
    """A command or a URL."""

    events: frozenset[str]
    command: tuple[str, ...]
    """Gets the body on its standard input."""
    url: str
    timeout_seconds: float

    @property
    def name(self) -> str:
        """For messages."""
        if self.command:
            return self.command[0]
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Hook:
        """An entry of the inventory's ``consolidation_hooks``. Raises ConfigurationError."""
        hint = "consolidation_hooks: each has command (a list) or url, and may have events and timeout_seconds"
        command, url = options.get("command") or (), str(options.get("url") or "")
        if unknown := sorted(set(options) - KEYS):
            raise ConfigurationError(f"a hook has unknown options: {', '.join(unknown)}", hint=hint)
        if bool(command) == bool(url) or isinstance(command, str):
            raise ConfigurationError("a hook needs either a command, as a list, or a url", hint=hint)
        if url and urlsplit(url).scheme not in ("http", "https"):
            raise ConfigurationError("a hook's url is not http or https", hint=hint)
        events = frozenset(options.get("events") or EVENTS)
        if unknown := sorted(events - set(EVENTS)):
            raise ConfigurationError(
                f"a hook has unknown events: {', '.join(unknown)}", hint=f"the events are {', '.join(EVENTS)}"
            )
        limit = float(options.get("timeout_seconds", LIMIT_SECONDS))
        return cls(events, tuple(map(str, command)), url, limit)


def of_event(options: Sequence[Mapping[str, Any]], event: str) -> list[Hook]:
    """The inventory's hooks for an event. Raises ConfigurationError."""
    return [hook for hook in map(Hook.from_options, options) if event in hook.events]


def require(hooks: Sequence[Hook], body: Mapping[str, Any]) -> None:
    """Deliver, before the fence. Raises StepRefused where a hook fails: nothing is closed yet."""
    if failed := deliver(hooks, body):
        raise StepRefused(
            f"{body['database']}: {'; '.join(failed)}",
            hint=f"writes are accepted; correct the hook for event {body['event']}, or remove it from"
            " consolidation_hooks, then run the same command again",
        )


def deliver(hooks: Sequence[Hook], body: Mapping[str, Any]) -> list[str]:
    """Deliver the body to the hooks of its event, one after the other; what failed, in words."""
    text = json.dumps(body).encode()
    wanted = [hook for hook in hooks if body["event"] in hook.events]
    return [failure for hook in wanted if (failure := _deliver(hook, text))]


def _deliver(hook: Hook, text: bytes) -> str:
    where = f"hook {hook.name}"
    try:
        if hook.command:
            done = subprocess.run(
                hook.command, input=text, capture_output=True, timeout=hook.timeout_seconds, check=False
            )
            return f"{where} ended with {done.returncode}" if done.returncode else ""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(hook.url, text, headers, method="POST")  # noqa: S310 - http and https only
        with urllib.request.urlopen(request, timeout=hook.timeout_seconds):  # noqa: S310 - http and https only
            return ""
    except (subprocess.TimeoutExpired, TimeoutError):
        return f"{where} took longer than {hook.timeout_seconds:g} s"
    except urllib.error.HTTPError as error:
        return f"{where} answered {error.code}"
    except OSError as error:
        return f"{where} could not be reached: {getattr(error, 'strerror', None) or type(error).__name__}"


def main() -> None:
    """Deliver what stands on the standard input."""
    given = json.load(sys.stdin)
    try:
        failures = deliver([Hook.from_options(options) for options in given["hooks"]], given["body"])
    except ConfigurationError as error:
        failures = [str(error)]
    json.dump(failures, sys.stdout)


if __name__ == "__main__":
    main()
