#!/usr/bin/python
"""The Ansible module ``service_switch``. It runs on an application host, where our packages are not installed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_switch
short_description: Switch a service to its prepared configuration and release, and restart it
version_added: "0.1.0"
description:
  - What is left to do inside the write outage, in one task. The file and the link are replaced whole; owner, group and
    mode of the configuration stay. The service is restarted in any case, and has to be healthy then.
  - A configuration that is neither the one it was prepared from nor the prepared one is left alone, see RV(edited).
  - Started before the change-over on every host of a service at once (C(async)), with O(opening) it waits until the
    Storage Service takes writes, or has handed the database back to the source; what Ansible needs for itself is then
    outside the write outage.
  - Who comes last has the turn. A switch that still waits when a later command switches the host, back or over, or
    when the prepared files are gone, ends without having changed anything.
options:
  config:
    description: The configuration file; a link to it is followed.
    type: path
    required: true
  before:
    description: The configuration as it was when the new one was prepared from it; the rollback gives O(after) here.
    type: path
    required: true
  after:
    description: The prepared configuration; the rollback gives O(before) here.
    type: path
    required: true
  link:
    description: The link to the release in use; not for the Storage Service, whose release stays.
    type: path
  release:
    description: The prepared release, or a link to it.
    type: path
  opening:
    description: What to wait for first; without it the service is switched at once.
    type: dict
    suboptions:
      urls:
        description: Health addresses of all hosts of the Storage Service.
        type: list
        elements: str
        required: true
      database:
        description: The database that is to be opened.
        type: str
        required: true
      side:
        description:
          - V(target), until each of them calls the database open for writes; or V(source), until each calls it fenced
            and its capture off, which the rollback by noted keys makes true once the source is open.
        type: str
        choices: [target, source]
        default: target
      wait_seconds:
        description: How long that may take, in seconds.
        type: float
        required: true
  unit:
    description: Name of the systemd unit to restart.
    type: str
  command:
    description: Program and arguments that restart the service where it is no unit.
    type: list
    elements: str
  health_url:
    description:
      - Address that is asked until the service is well. It is if it answers C(200), a C(status) of V(healthy) or, as
        the Storage Service does, an C(ok) of V(true), and calls all O(lineages) C(current).
    type: str
    required: true
  lineages:
    description: Lineages that the Storage Service has to serve.
    type: list
    elements: str
    default: []
  timeout_seconds:
    description: How long it may take until it is, in seconds.
    type: float
    default: 60
attributes:
  check_mode:
    description: The module changes nothing in check mode, and says that it would.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Switch the service
  service_switch:
    config: /etc/campaign/config.yml
    before: /etc/campaign/config.yml.before-20260101T020000Z
    after: /etc/campaign/config.yml.after-20260101T020000Z
    link: /opt/campaign/current
    release: /opt/campaign/releases/2.0
    unit: campaign-service
    health_url: http://127.0.0.1:8080/health
"""

RETURN = r"""
healthy_after_seconds:
  description:
    - Seconds from the last moment at which the Storage Service saw that the opening had not happened, until the service
      was well. So long after the opening it was, at the most, whatever the clocks of the hosts say.
  returned: with O(opening), where that was waited for
  type: float
edited:
  description: Whether someone has edited the configuration since; nothing was done then.
  returned: always
  type: bool
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import ConnectionError, Request, make_context

OPENING = {
    "urls": {"type": "list", "elements": "str", "required": True},
    "database": {"type": "str", "required": True},
    "side": {"type": "str", "choices": ["target", "source"], "default": "target"},
    "wait_seconds": {"type": "float", "required": True},
}
SPEC = {
    "config": {"type": "path", "required": True},
    "before": {"type": "path", "required": True},
    "after": {"type": "path", "required": True},
    "link": {"type": "path"},
    "release": {"type": "path"},
    "opening": {"type": "dict", "options": OPENING},
    "unit": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
    "health_url": {"type": "str", "required": True},
    "lineages": {"type": "list", "elements": "str", "default": []},
    "timeout_seconds": {"type": "float", "default": 60},
}
POLL_SECONDS, MOST_POLL_SECONDS = 0.05, 0.5
TURN = ".service-switch"
"""File beside the link, or the configuration: the command that has the turn. It stays, as lock files do."""


class Failed(Exception):
    """Why the service is not switched."""


def main() -> None:
    """Switch what is not switched yet, restart, wait."""
    restart = {"required_one_of": [("unit", "command")], "mutually_exclusive": [("unit", "command")]}
    restart["required_together"] = [("link", "release")]
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, **restart)
    result: dict[str, Any] = {}
    try:
        prepared = is_prepared(module.params)
        if prepared and not module.check_mode:
            result = switch(module)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    except Failed as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=prepared, edited=not prepared, **result)


def is_prepared(given: dict[str, Any]) -> bool:
    """Whether the configuration is the one or the other."""
    now, old, new = (read(Path(given[name])) for name in ("config", "before", "after"))
    return now is not None and new is not None and now in (old, new)


def switch(module: AnsibleModule) -> dict[str, float]:
    """All of it; what there is to return. Raises Failed, OSError."""
    given = module.params
    turn = Turn(Path(given["link"] or given["config"]).with_name(TURN))
    not_open_at = wait_until_open(turn, given) if given["opening"] else None
    with turn.mine():
        if not is_prepared(given):
            raise Failed(f"{given['config']} was edited while the switch waited for the opening")
        replace_file(module, Path(given["config"]).resolve(), Path(given["after"]).read_bytes())
        if given["link"]:
            replace_link(Path(given["link"]), Path(given["release"]))
        restart_service(module)
    wait_until_healthy(turn, given)
    return {} if not_open_at is None else {"healthy_after_seconds": time.monotonic() - not_open_at}


class Turn:
    """Of several commands that would switch this host, the last one may."""

    def __init__(self, path: Path) -> None:
        self._path, self._token = path, uuid4().hex.encode()
        with self._locked() as file:
            os.pwrite(file, self._token, 0)

    def check(self) -> None:
        """Raises Failed when a later command has come."""
        if self._path.read_bytes() != self._token:
            raise Failed("a later command switches this host; this one has ended")

    @contextmanager
    def mine(self) -> Iterator[None]:
        """Nobody else takes it meanwhile. Raises Failed as `check`."""
        with self._locked():
            self.check()
            yield

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # held for as long as a restart takes, at the longest
            yield file
        finally:
            os.close(file)


def wait_until_open(turn: Turn, given: dict[str, Any]) -> float | None:
    """Until every host of the Storage Service says that its side, or the other, takes writes. Raises Failed.

    The last moment at which one of them saw that it did not, by the monotonic clock; None where none has seen it, or
    can say how old its answer was.
    """
    opening = given["opening"]
    wanted = {"writes": "open"} if opening["side"] == "target" else {"writes": "fenced", "capture": "off"}
    not_open_at = None

    def is_open(said: Any, asked_at: float) -> bool:
        nonlocal not_open_at
        found = said["databases"][opening["database"]]
        if all(found[name] == value for name, value in wanted.items()):
            return True
        if said["ok"]:  # a standby may see an opening late
            not_open_at = asked_at - said["age_seconds"]
        return False

    deadline = time.monotonic() + opening["wait_seconds"]
    for url in opening["urls"]:
        if said := poll(turn, given["after"], url, deadline, is_open):
            state = " and ".join(f"{name} {value}" for name, value in wanted.items())
            what = f"did not call {opening['database']} {state} within {opening['wait_seconds']:g} s"
            raise Failed(f"{url} {what}: {said}")
    return not_open_at


def wait_until_healthy(turn: Turn, given: dict[str, Any]) -> None:
    """Raises Failed."""
    url, seconds = given["health_url"], given["timeout_seconds"]

    def is_well(said: Any, _: float) -> bool:
        current = all(said["lineages"].get(name) == "current" for name in given["lineages"])
        return current and (said.get("status") == "healthy" or said.get("ok") is True)

    if said := poll(turn, given["after"], url, time.monotonic() + seconds, is_well):
        raise Failed(f"{url} did not say healthy within {seconds:g} s: {said}")


def poll(turn: Turn, after: str, url: str, deadline: float, is_wanted: Callable[[Any, float], bool]) -> str:
    """Ask often: every wait here is write outage, of which a hundredth at the most, or so, is the pause between two.

    Empty, or the last answer. Raises Failed when the switch is no longer wanted.
    """
    began = time.monotonic()
    while True:
        asked_at = time.monotonic()
        content, said = ask(url)
        with suppress(LookupError, TypeError, AttributeError):
            if content is not None and is_wanted(content, asked_at):
                return ""
        if time.monotonic() >= deadline:
            return said
        turn.check()
        if not Path(after).exists():
            raise Failed("the run was rolled back, its prepared files are gone")
        time.sleep(min(max(POLL_SECONDS, (asked_at - began) / 100), MOST_POLL_SECONDS))


def ask(url: str) -> tuple[Any, str]:
    """The content of a 200, None without; and in words what was answered."""
    try:
        answer = asking().open("GET", url)
    except HTTPError as error:
        return None, f"it answers {error.code}, {error.read()[:500].decode(errors='replace')}"
    except (OSError, HTTPException, ConnectionError, ValueError) as error:
        return None, f"it does not answer ({type(error).__name__})"
    try:
        content = json.loads(answer.read())
    except (OSError, HTTPException, ValueError):
        return None, "it answers 200 without JSON"
    return content, f"it answers 200, {json.dumps(content)[:500]}"


@cache
def asking() -> Request:
    """For all requests: to read the system's CAs for each took a third of a processor from the service's start."""
    return Request(timeout=5, use_proxy=False, context=make_context())


def restart_service(module: AnsibleModule) -> None:
    """As the inventory says. Raises Failed."""
    unit = module.params["unit"]
    command = ["systemctl", "restart", unit] if unit else module.params["command"]
    status, _, errors = module.run_command(command)
    if status:
        log = f"; Next: systemctl status {unit}" if unit else ""
        raise Failed(f"`{' '.join(command)}` ended with {status}: {errors.strip()[-1000:]}{log}")


def read(path: Path) -> bytes | None:
    """None: there is no such file."""
    return path.read_bytes() if path.exists() else None


def replace_file(module: AnsibleModule, path: Path, content: bytes) -> None:
    """Write beside it and rename, so that a service which starts now reads the one or the other."""
    if read(path) == content:
        return
    beside = path.with_name(f".switch-{path.name}")  # what a killed run has left there is replaced
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    module.atomic_move(str(beside), str(path))  # it takes over owner, group and mode


def replace_link(link: Path, release: Path) -> None:
    """As for the file."""
    if release.is_symlink():
        release = release.readlink()
    if link.is_symlink() and link.readlink() == release:
        return
    beside = link.with_name(f".switch-{link.name}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(release)
    beside.replace(link)


if __name__ == "__main__":
    main()
