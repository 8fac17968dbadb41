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
options:
  config:
    description: The configuration file; a link to it is followed.
    type: path
    required: true
  before:
    description: The configuration as it was when the new one was prepared from it.
    type: path
    required: true
  after:
    description: The prepared configuration.
    type: path
    required: true
  link:
    description: The link to the release in use.
    type: path
    required: true
  release:
    description: The prepared release.
    type: path
    required: true
  unit:
    description: Name of the systemd unit to restart.
    type: str
  command:
    description: Program and arguments that restart the service where it is no unit.
    type: list
    elements: str
  health_url:
    description: Address that answers C(200) and a C(status) of V(healthy) when the service is well.
    type: str
    required: true
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
edited:
  description: Whether someone has edited the configuration since; nothing was done then.
  returned: always
  type: bool
"""

import json
import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

PATHS = ("config", "before", "after", "link", "release")
SPEC = {name: {"type": "path", "required": True} for name in PATHS} | {
    "unit": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
    "health_url": {"type": "str", "required": True},
    "timeout_seconds": {"type": "float", "default": 60},
}
POLL_SECONDS = 0.1


def main() -> None:
    """Switch what is not switched yet, restart, wait."""
    restart = {"required_one_of": [("unit", "command")], "mutually_exclusive": [("unit", "command")]}
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True, **restart)
    config, before, after, link, release = (Path(module.params[name]) for name in PATHS)
    config = config.resolve()
    try:
        now, old, new = (path.read_bytes() if path.exists() else None for path in (config, before, after))
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read: {error.strerror}")
    if now is None or new is None or now not in (old, new):
        module.exit_json(changed=False, edited=True)
    if not module.check_mode:
        if now != new:
            replace_file(module, config, new)
        if not link.is_symlink() or link.readlink() != release:
            replace_link(link, release)
        restart_service(module)
        wait_until_healthy(module)
    module.exit_json(changed=True, edited=False)


def restart_service(module: AnsibleModule) -> None:
    """As the inventory says."""
    unit = module.params["unit"]
    command = ["systemctl", "restart", unit] if unit else module.params["command"]
    status, _, errors = module.run_command(command)
    if status:
        log = f"; Next: systemctl status {unit}" if unit else ""
        module.fail_json(msg=f"`{' '.join(command)}` ended with {status}: {errors.strip()[-1000:]}{log}")


def wait_until_healthy(module: AnsibleModule) -> None:
    """Ask often: every wait here is write outage."""
    url, seconds = module.params["health_url"], module.params["timeout_seconds"]
    deadline = time.monotonic() + seconds
    while (said := ask(url)) != "healthy":
        if time.monotonic() >= deadline:
            module.fail_json(msg=f"{url} did not say healthy within {seconds:g} s; its last answer: {said}")
        time.sleep(POLL_SECONDS)


def ask(url: str) -> str:
    """The status that the service gives itself, or why there is none."""
    try:
        return str(json.loads(open_url(url, timeout=5, use_proxy=False).read())["status"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def replace_file(module: AnsibleModule, path: Path, content: bytes) -> None:
    """Write beside it and rename, so that a service which starts now reads the one or the other."""
    beside = path.with_name(f".switch-{path.name}")  # what a killed run has left there is replaced
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    module.atomic_move(str(beside), str(path))  # it takes over owner, group and mode


def replace_link(link: Path, release: Path) -> None:
    """As for the file."""
    beside = link.with_name(f".switch-{link.name}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(release)
    beside.replace(link)


if __name__ == "__main__":
    main()
