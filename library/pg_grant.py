#!/usr/bin/python
"""The Ansible module ``pg_grant``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_grant
short_description: Grant the target's roles what they need, and nothing else
version_added: "0.1.0"
description:
  - Grants each of the database's O(database.target_roles) usage of the target schema, reading and writing of its
    tables, use of its sequences, and reading of the Alembic heads.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the statements.
    support: full
"""

EXAMPLES = r"""
- name: Grant the Storage Service what it needs
  pg_grant:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
"""

RETURN = r"""
granted:
  description: The statements that were run.
  type: list
  elements: str
  returned: when not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.schema import grants


def main() -> None:
    """Plan, and grant."""
    module = AnsibleModule(argument_spec=arguments.phase(), supports_check_mode=True)
    with failures(module):
        plan = grants.plan_grants(Database.from_options(module.params["database"], module.params["run_id"]))
        carry_out(module, plan, lambda: grants.apply_grants(plan))


if __name__ == "__main__":
    main()
