#!/usr/bin/python
"""The Ansible module ``pg_proof``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_proof
short_description: Compare the closed source with the open target, without what the target has changed since
version_added: "0.1.0"
description:
  - Every row of the closed source is compared with the target as it is now, but for the rows whose keys the target has
    noted since its opening. Writers of the target go on. It trusts nothing that was noted on the way there.
  - Its result is the run's final verdict. It may be cut off and run again.
  - Before it, the foreign keys of the target that stood aside in rounds are validated, and the source stops noting.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  timeout_seconds:
    description: How long to wait for readers of the closed source.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Says whether there is something to compare.
    support: full
"""

EXAMPLES = r"""
- name: Compare the closed source with the open target
  pg_proof:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
outcome:
  description: C(equal), C(different) or C(could_not_compare), the worst of all tables.
  type: str
  returned: when not in check mode, unless there was nothing to do; also on failure
tables:
  description: Every table with its outcome, rows and digests.
  type: list
  elements: dict
  returned: when not in check mode, unless there was nothing to do; also on failure
sequences:
  description: Empty; sequences are compared before the opening.
  type: list
  elements: dict
  returned: when not in check mode, unless there was nothing to do; also on failure
faults:
  description: Empty.
  type: list
  elements: str
  returned: when not in check mode, unless there was nothing to do; also on failure
summary:
  description: One line for each table.
  type: list
  elements: str
  returned: when not in check mode, unless there was nothing to do; also on failure
at:
  description: When it ended.
  type: str
  returned: when not in check mode, unless there was nothing to do
seconds:
  description: Duration.
  type: float
  returned: when not in check mode, unless there was nothing to do
msg:
  description: Why nothing is compared.
  type: str
  returned: when there was nothing to do, not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.follow import proof
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures


def main() -> None:
    """Plan, and compare."""
    spec = arguments.phase(timeout_seconds={"type": "float", "default": 60})
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = proof.plan(Database.from_options(given["database"], given["run_id"]))
        carry_out(module, plan, lambda: proof.apply(plan, given["timeout_seconds"]))


if __name__ == "__main__":
    main()
