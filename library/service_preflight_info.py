#!/usr/bin/python
"""The documentation of the action plugin ``service_preflight_info``, and what is said where it is not found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_preflight_info
short_description: Judge what was found on an application host, before the window
version_added: "0.1.0"
description:
  - Looks at the host and turns what it sees into findings with stable ids, each with its fix. It judges on the
    control node. The host needs nothing but Python, and what its configuration holds is in no result.
options:
  host:
    description: Inventory name of the application host.
    type: str
    required: true
  config:
    description: The configuration file on the host.
    type: path
    required: true
  health_url:
    description: Address that is asked for the service's health, from the host.
    type: str
    required: true
  restartable:
    description: Whether the inventory says how the service is restarted.
    type: bool
    required: true
  schema:
    description: Of a service that moves, the name of its database at the Storage Service.
    type: str
  current_release:
    description: Of a service that moves, the link to its release.
    type: path
  next_release:
    description: Of a service that moves, the folder of the release for after the cutover.
    type: path
  entries:
    description: Of the Storage Service, the entries that its file is to have, by database.
    type: dict
  called:
    description: Of the Storage Service, whether a service is to go through it to these databases, and must be let in.
    type: bool
    default: false
  evidence:
    description: Where the findings are kept on the control node; not in check mode.
    type: dict
    suboptions:
      directory:
        description: Folder of the run directories.
        type: path
        required: true
      run_id:
        description: Id of the run.
        type: str
        required: true
      database:
        description: Name of the service database.
        type: str
        required: true
      phase:
        description: Name of the file.
        type: str
        required: true
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Look at the Storage Service's host
  service_preflight_info:
    host: storage-1
    config: /etc/storage/config.yml
    health_url: http://127.0.0.1:8080/health/ready
    restartable: true
    entries: {campaign_db: {schema: campaign_db, migrations: true, backup: true}}
    called: true
  delegate_to: storage-1
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

from consolidation.module.control_node import LOOK, LOOK_NEEDS, require_plugin


def main() -> None:
    """Reached only without the action plugin."""
    require_plugin(AnsibleModule(argument_spec=LOOK, supports_check_mode=True, **LOOK_NEEDS), "service_preflight_info")


if __name__ == "__main__":
    main()
