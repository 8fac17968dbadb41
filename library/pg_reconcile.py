#!/usr/bin/python
"""The Ansible module ``pg_reconcile``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_reconcile
short_description: Make one side of a database equal to the other by content
version_added: "0.1.0"
description:
  - Compares both sides and changes, on the side O(to), only the rows that differ; sequences that are behind are set.
  - All in one transaction, which ends with the proof that both sides are equal and with all foreign keys validated.
  - Both sides must be fenced. The authoritative side is never overwritten.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  to:
    description:
      - The side that is changed.
      - V(source) brings the writes made since the cutover back; it belongs to a rollback.
      - V(target) repairs a copy before the cutover.
    type: str
    required: true
    choices: [source, target]
  workers:
    description: Number of tables compared at the same time, each with a session on either side.
    type: int
    default: 2
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns one line for each table with the numbers of rows to insert, update and delete.
    support: full
"""

EXAMPLES = r"""
- name: Bring the writes made since the cutover back to the source
  pg_reconcile:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
    to: source
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
to:
  description: The side that was changed.
  type: str
  returned: when not in check mode, unless there was nothing to do
compared:
  description: Number of tables that were compared.
  type: int
  returned: when not in check mode, unless there was nothing to do
tables:
  description: Name and number of inserted, updated and deleted rows of every table that was changed.
  type: list
  elements: dict
  returned: when not in check mode, unless there was nothing to do
sequences:
  description: Names of the sequences that were set.
  type: list
  elements: str
  returned: when not in check mode, unless there was nothing to do
seconds:
  description: Duration, without the comparison.
  type: float
  returned: when not in check mode, unless there was nothing to do
msg:
  description: Which run has reconciled the side and opened it since.
  type: str
  returned: when there was nothing to do, not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.rollback import reconcile


def main() -> None:
    """Plan, and reconcile."""
    spec = arguments.phase(
        to={"type": "str", "required": True, "choices": list(reconcile.SIDES)}, workers={"type": "int", "default": 2}
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = reconcile.plan(Database.from_options(given["database"], given["run_id"]), given["to"], given["workers"])
        carry_out(module, plan, lambda: reconcile.apply(plan))


if __name__ == "__main__":
    main()
