#!/usr/bin/python
"""The Ansible module ``pg_reconcile_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_reconcile_info
short_description: Find what would stop a rollback from bringing rows back, before anything is closed
version_added: "0.1.0"
description:
  - Fails where a table of the source has no counterpart or other columns on the target, or where a table of the target
    that the source does not have holds rows. These would be left behind.
  - Compares no row and writes nothing. Looks at nothing where the target was never in charge, or is no longer.
extends_documentation_fragment: [consolidation]
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
"""

EXAMPLES = r"""
- name: Look whether every row of the target has a place on the source
  pg_reconcile_info:
    database: "{{ consolidation_database }}"
"""

RETURN = r"""
needed:
  description: Whether a rollback would bring rows back to the source.
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.rollback import reconcile


def main() -> None:
    """Look."""
    module = AnsibleModule(argument_spec=arguments.database(), supports_check_mode=True)
    with failures(module):
        module.exit_json(changed=False, needed=reconcile.look(Database.from_options(module.params["database"])))


if __name__ == "__main__":
    main()
