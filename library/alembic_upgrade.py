#!/usr/bin/python
"""The Ansible module ``alembic_upgrade``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_upgrade
short_description: Create the schema of a database, and upgrade its Alembic lineage to its head
version_added: "0.1.0"
description:
  - Creates the schema where there is none.
  - Applies the pending revisions of the lineage that has the database's name, as C(alembic upgrade NAME@head) does.
  - Then proves with C(alembic check) that the schema is what the models say.
  - In check mode returns the pending revisions and the SQL that they would run.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the SQL that creates the schema, and that of the pending revisions.
    support: full
"""

EXAMPLES = r"""
- name: Upgrade the lineage
  alembic_upgrade:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode
heads:
  description: Revisions of the lineage after the upgrade.
  type: list
  elements: str
  returned: when not in check mode
revisions:
  description: Revisions that this run has applied.
  type: list
  elements: str
  returned: when not in check mode
definitions:
  description: By name (C(constraint c of t)) a digest of every column, constraint and index after the upgrade.
  type: dict
  returned: when not in check mode
pending:
  description: Revisions that would be applied.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.schema import phase as schema


def main() -> None:
    """Plan, and upgrade."""
    module = AnsibleModule(argument_spec=arguments.phase(), supports_check_mode=True)
    with failures(module):
        plan = schema.plan(Database.from_options(module.params["database"], module.params["run_id"]))
        carry_out(module, plan, lambda: schema.apply(plan), pending=[revision.id for revision in plan.pending])


if __name__ == "__main__":
    main()
