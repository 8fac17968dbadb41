#!/usr/bin/python
"""The documentation of the action plugin ``run_notice``, and what is said where it is not found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_notice
short_description: Notify the inventory's hooks of an event, and stop the run where one fails
version_added: "0.1.0"
description:
  - Runs the commands and posts to the URLs that the inventory names for an event before the fence.
  - A hook that fails, or takes longer than its limit, fails the module. Behind the fence the callback C(runbook)
    runs the hooks, and a failure stops nothing.
  - The body is JSON with C(event), C(run_id), C(database) and C(at); no row data.
options:
  hooks:
    description:
      - The inventory's C(consolidation_hooks). Each has C(command), a list, which gets the body on its standard input,
        or C(url), which gets it by HTTP POST, and may have C(events) and C(timeout_seconds) (10).
    type: list
    elements: dict
    required: true
  event:
    description: What happens next.
    type: str
    required: true
    choices: [begin, hold, fence]
  run_id:
    description: Id of the run.
    type: str
    required: true
  database:
    description: Name of the service database.
    type: str
    required: true
attributes:
  check_mode:
    description: In check mode no one is notified.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Notify the hooks that writes are refused from here on
  run_notice:
    hooks: "{{ consolidation_hooks }}"
    event: fence
    run_id: "{{ journal_run.run_id }}"
    database: "{{ consolidation_database.name }}"
"""

RETURN = r"""
notified:
  description: How many hooks were notified.
  type: int
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.module.control_node import NOTICE, require_plugin


def main() -> None:
    """Reached only without the action plugin."""
    require_plugin(AnsibleModule(argument_spec=NOTICE, supports_check_mode=True), "run_notice")


if __name__ == "__main__":
    main()
