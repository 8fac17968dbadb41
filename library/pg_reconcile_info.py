#!/usr/bin/python
"""The Ansible module ``pg_reconcile_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_reconcile_info
short_description: Try a rollback in a transaction that is rolled back, before anything is closed
version_added: "0.1.0"
description:
  - Fails where a table of the source has no counterpart or other columns on the target, or where a table of the target
    that the source does not have holds rows. These would be left behind.
  - Compares all rows, then brings those that differ to the source in a transaction that is rolled back. Fails where the
    source does not take them, with table, column or constraint and the number of rows,
    or where a reader is in the way.
  - Nothing is changed. Meanwhile readers of the source may wait; the target goes on to take writes.
  - Does nothing where the target was never authoritative, or is no longer.
extends_documentation_fragment: [storage.consolidation.consolidation]
options:
  workers:
    description: Number of tables compared at the same time, each with a session on either side.
    type: int
    default: 2
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
"""

EXAMPLES = r"""
- name: Check that every row of the target has a place on the source
  pg_reconcile_info:
    database: "{{ consolidation_database }}"
    workers: 4
"""

RETURN = r"""
needed:
  description: Whether a rollback would bring rows back to the source.
  type: bool
  returned: always
refusals:
  description: Table, column, constraint, SQLSTATE, type and number of the rows that the source does not take.
  type: list
  elements: dict
  returned: on the failure that there are any
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.rollback import trial


def main() -> None:
    """Try."""
    spec = arguments.database(workers={"type": "int", "default": 2})
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        needed = trial.look(Database.from_options(given["database"]), given["workers"])
        module.exit_json(changed=False, needed=needed)


if __name__ == "__main__":
    main()
