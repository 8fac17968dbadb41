#!/usr/bin/python
"""The Ansible module ``rehearsal_preflight_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rehearsal_preflight_info
short_description: Check that a rehearsal says how long the window takes
version_added: "0.1.0"
description:
  - Looks at the ticket of the last rehearsal. It is valid for the versions of both servers and of the runbook and the
    heads of the lineage that were rehearsed, and for some days.
  - Finds nothing where a run is under way or has migrated the database, or where its tables are moved.
extends_documentation_fragment: [storage.consolidation.consolidation]
options:
  ticket:
    description: The ticket, as M(storage.consolidation.pg_rehearse) returned it; empty where there is none.
    type: dict
    required: true
  days:
    description: How long a ticket is valid.
    type: float
    default: 14
  required:
    description: Whether a missing or outdated ticket is a blocker, instead of an info and a warning.
    type: bool
    default: false
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
"""

EXAMPLES = r"""
- name: Check the ticket
  rehearsal_preflight_info:
    database: "{{ consolidation_database }}"
    ticket: "{{ preflight_ticket }}"
"""

RETURN = r"""
findings:
  description: What was found, each with C(id), C(severity), C(subject), C(what) and C(fix).
  returned: always
  type: list
  elements: dict
summary:
  description: Number of findings of each severity, and C(blocker_ids).
  returned: always
  type: dict
table:
  description: The findings for people.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.rehearse import look


def main() -> None:
    """Look."""
    spec = arguments.database(
        ticket={"type": "dict", "required": True},
        days={"type": "float", "default": 14},
        required={"type": "bool", "default": False},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        wanted = look.Wanted(given["days"], given["required"])
        module.exit_json(changed=False, **look.look(Database.from_options(given["database"]), given["ticket"], wanted))


if __name__ == "__main__":
    main()
