#!/usr/bin/python
"""The Ansible module ``pg_cancel_rollback``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_cancel_rollback
short_description: Give an unfinished rollback up and open the target again
version_added: "0.1.0"
description:
  - Opens the target of a database whose rollback was begun, and makes the target authoritative again in the journal.
  - Refuses where the source is open or was opened since the run closed it, and where the target was never open.
  - What the rollback has brought to the source already stays there; the next rollback brings all rows again.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  timeout_seconds:
    description: How long to wait for open transactions.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the tables that would be opened, and the run's state.
    support: full
"""

EXAMPLES = r"""
- name: Give the rollback up
  pg_cancel_rollback:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
"""

RETURN = r"""
msg:
  description: What was done or would be, or why there is nothing to cancel.
  type: str
  returned: always
run_id:
  description: Id of the run.
  type: str
  returned: when a rollback was cancelled
state:
  description: State of the run, C(migrated); C(migrating) where its cutover was not finished.
  type: str
  returned: when a rollback was cancelled
opened_at:
  description: When the target was opened.
  type: str
  returned: when a rollback was cancelled
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock the tables
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.rollback import cancel


def main() -> None:
    """Plan, and cancel."""
    module = AnsibleModule(
        argument_spec=arguments.phase(timeout_seconds={"type": "float", "default": 60}), supports_check_mode=True
    )
    with failures(module):
        given = module.params
        plan = cancel.plan(Database.from_options(given["database"], given["run_id"]))
        carry_out(module, plan, lambda: cancel.apply(plan, given["timeout_seconds"]), checked={"msg": plan.msg})


if __name__ == "__main__":
    main()
