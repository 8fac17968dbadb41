#!/usr/bin/python
"""The Ansible module ``storage_service_schema``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_service_schema
short_description: Bring the Storage Service's own lineage to its head
version_added: "0.1.0"
description:
  - The tables that the Storage Service needs for itself (idempotency keys), in schema C(storage_service) of the target,
    and the grants of the target's roles on them.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the SQL of the pending revisions and the missing grants.
    support: full
"""

EXAMPLES = r"""
- name: Build the Storage Service's own tables
  storage_service_schema:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
"""

RETURN = r"""
revisions:
  description: Revisions that were applied.
  type: list
  elements: str
  returned: when not in check mode
granted:
  description: The statements that gave the roles what they lacked.
  type: list
  elements: str
  returned: when not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.schema import storage_service as service_schema


def main() -> None:
    """Plan, and apply."""
    module = AnsibleModule(argument_spec=arguments.phase(), supports_check_mode=True)
    with failures(module):
        plan = service_schema.plan(Database.from_options(module.params["database"], module.params["run_id"]))
        carry_out(module, plan, lambda: service_schema.apply(plan))


if __name__ == "__main__":
    main()
