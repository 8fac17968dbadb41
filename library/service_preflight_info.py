#!/usr/bin/python
"""The Ansible module ``service_preflight_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_preflight_info
short_description: Judge what was found on an application host, before the window
version_added: "0.1.0"
description:
  - Turns what the role saw on the host into findings with stable ids, each with its fix. Looks at nothing itself.
options:
  host:
    description: Inventory name of the application host.
    type: str
    required: true
  config:
    description: The configuration file, with C(path), C(exists) and C(writable).
    type: dict
    required: true
  content:
    description: Its content, base64; empty where it could not be read.
    type: str
    required: true
  health:
    description: What the health endpoint said, with C(url) and C(status) (-1 for no answer).
    type: dict
    required: true
  restartable:
    description: Whether the inventory says how the service is restarted.
    type: bool
    required: true
  schema:
    description: Of a service that moves, the name of its database at the storage service.
    type: str
  release:
    description:
      - Of a service that moves, the release for after the cutover, with C(directory), C(ready), C(requirements)
        (base64, empty where there is no such file), C(wheelhouse) and C(linked).
    type: dict
  entries:
    description: Of the storage service, the entries that its file is to have, by database.
    type: dict
  called:
    description: Of the storage service, whether a service is to go through it to these databases, and must be let in.
    type: bool
    default: false
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Judge the storage service's host
  service_preflight_info:
    host: storage-1
    config: {path: /etc/storage/config.yml, exists: true, writable: true}
    content: "{{ file.content }}"
    health: {url: http://127.0.0.1:8080/health/ready, status: 200}
    restartable: true
    entries: {campaign_db: {schema: campaign_db, migrations: true, backup: true}}
    called: true
"""

RETURN = r"""
findings:
  description: What was found, blockers first, each with C(id), C(severity), C(subject), C(what) and C(fix).
  returned: always
  type: list
  elements: dict
summary:
  description: Number of findings of each severity, and C(blocker_ids).
  returned: always
  type: dict
table:
  description: The findings for people.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.module.failures import failures
from consolidation.preflight import services

SPEC = {
    "host": {"type": "str", "required": True},
    "config": {"type": "dict", "required": True},
    "content": {"type": "str", "required": True, "no_log": True},
    "health": {"type": "dict", "required": True},
    "restartable": {"type": "bool", "required": True},
    "schema": {"type": "str"},
    "release": {"type": "dict"},
    "entries": {"type": "dict"},
    "called": {"type": "bool", "default": False},
}


def main() -> None:
    """Judge."""
    module = AnsibleModule(
        argument_spec=SPEC,
        required_one_of=[("release", "entries")],
        mutually_exclusive=[("release", "entries")],
        required_by={"release": ["schema"]},
        supports_check_mode=True,
    )
    with failures(module):
        module.exit_json(changed=False, **services.judge(module.params))


if __name__ == "__main__":
    main()
