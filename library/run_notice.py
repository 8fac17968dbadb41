#!/usr/bin/python
"""The Ansible module ``run_notice``."""

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
    choices: [begin, fence]
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
  delegate_to: localhost
"""

RETURN = r"""
notified:
  description: How many hooks were notified.
  type: int
  returned: always
"""

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule

from consolidation.module.failures import failures
from consolidation.notices import hooks


def main() -> None:
    """Tell them."""
    spec = {
        "hooks": {"type": "list", "elements": "dict", "required": True},
        "event": {"type": "str", "required": True, "choices": [hooks.BEGIN, hooks.FENCE]},
        **{name: {"type": "str", "required": True} for name in ("run_id", "database")},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        body = {key: value for key, value in module.params.items() if key != "hooks"}
        body["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        wanted = hooks.of_event(module.params["hooks"], body["event"])
        if not module.check_mode:
            hooks.require(wanted, body)
        module.exit_json(changed=False, notified=0 if module.check_mode else len(wanted))


if __name__ == "__main__":
    main()
