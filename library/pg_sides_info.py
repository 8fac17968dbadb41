#!/usr/bin/python
"""The Ansible module ``pg_sides_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_sides_info
short_description: Check that both sides are as the run says
version_added: "0.1.0"
description:
  - Compares the fences of source and target with where the run stands in the journal.
  - Fails where they do not fit together. The journal was lost or is older, or a fence was lifted by hand; then a
    command that trusts the run may overwrite the newer rows.
  - Reads only.
extends_documentation_fragment: [storage.consolidation.consolidation]
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
"""

EXAMPLES = r"""
- name: Check that both sides are as the run says
  pg_sides_info:
    database: "{{ consolidation_database }}"
"""

RETURN = r"""
writers:
  description: Which side takes writes right now, in words.
  type: str
  returned: when both sides are as the run says
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.fence import sides
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures


def main() -> None:
    """Look, and refuse."""
    module = AnsibleModule(argument_spec=arguments.database(), supports_check_mode=True)
    with failures(module):
        found = sides.require_no_conflict(Database.from_options(module.params["database"]))
        module.exit_json(changed=False, writers=found.writers)


if __name__ == "__main__":
    main()
