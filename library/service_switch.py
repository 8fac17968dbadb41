#!/usr/bin/python
"""The Ansible module ``service_switch``. It runs on an application host, where our packages are not installed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_switch
short_description: Put a prepared configuration and a prepared release of a service in place
version_added: "0.1.0"
description:
  - What is left to do inside the write outage, in one task. The file and the link are replaced whole; owner, group and
    mode of the configuration stay.
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
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
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
"""

RETURN = r"""
edited:
  description: Whether somebody has edited the configuration since; nothing was changed then.
  returned: always
  type: bool
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

SPEC = {name: {"type": "path", "required": True} for name in ("config", "before", "after", "link", "release")}


def main() -> None:
    """Compare, and switch what is not switched yet."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    config, before, after, link, release = (Path(module.params[name]) for name in SPEC)
    config = config.resolve()
    try:
        now, old, new = (path.read_bytes() if path.exists() else None for path in (config, before, after))
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read: {error.strerror}")
    if now is None or new is None or now not in (old, new):
        module.exit_json(changed=False, edited=True)
    linked = link.is_symlink() and link.readlink() == release
    if not module.check_mode:
        if now != new:
            replace_file(module, config, new)
        if not linked:
            replace_link(link, release)
    module.exit_json(changed=now != new or not linked, edited=False)


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
