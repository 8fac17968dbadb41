#!/usr/bin/python
"""The Ansible module ``pg_abandon``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_abandon
short_description: Open a source whose storage database is lost
version_added: "0.1.0"
description:
  - Opens the source to its writers again without a journal to ask, because the storage database that holds it is lost.
  - Refuses while the storage database answers, and without the typed sentence that names what may be lost.
extends_documentation_fragment: [storage.consolidation.consolidation]
options:
  consent:
    description: The sentence that check mode returns.
    type: str
    default: ""
  timeout_seconds:
    description: How long to wait for open transactions.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the tables that would be opened.
    support: full
"""

EXAMPLES = r"""
- name: Open the source without its target
  pg_abandon:
    database: "{{ consolidation_database }}"
    consent: open campaign_db without the writes that only its lost storage database has
"""

RETURN = r"""
msg:
  description:
    - In check mode what may be lost, and the option that agrees.
    - Else what was done, and what is left to do by hand.
  type: str
  returned: always
sentence:
  description: What is to be typed as O(consent).
  type: str
  returned: always
opened_at:
  description: When the source was opened.
  type: str
  returned: when it was opened
tables:
  description: Names of the tables that were opened.
  type: list
  elements: str
  returned: when they were opened
writers:
  description: Which side takes writes right now, in words.
  type: str
  returned: on a refusal
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
from consolidation.rollback import abandon


def main() -> None:
    """Plan, and open."""
    spec = arguments.database(consent={"type": "str", "default": ""}, timeout_seconds={"type": "float", "default": 60})
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = abandon.plan(Database.from_options(given["database"]))
        checked = {"msg": plan.msg}
        carry_out(
            module,
            plan,
            lambda: abandon.apply(plan, given["consent"], given["timeout_seconds"]),
            checked=checked,
            sentence=plan.sentence,
        )


if __name__ == "__main__":
    main()
