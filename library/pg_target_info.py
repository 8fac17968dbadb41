#!/usr/bin/python
"""The Ansible module ``pg_target_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_target_info
short_description: Check the built target before anything is fenced
version_added: "0.1.0"
description:
  - Compares the target that the lineage has built with the source, by name and definition; functions, triggers, views,
    policies and partitions among them.
  - Tries a statement that touches no row on every table as each of O(database.target_roles).
  - Fails where the run would stop behind the fence. Changes nothing; once the copy has begun it does not look.
extends_documentation_fragment: [storage.consolidation.consolidation]
options:
  accepted:
    description:
      - Objects of the source that may stay behind, each as C(ID SUBJECT), as C(pg_preflight_info) takes them.
      - C(*) in the subject matches any text.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
"""

EXAMPLES = r"""
- name: Compare the built target with the source
  pg_target_info:
    database: "{{ consolidation_database }}"
    accepted: ["source.object.view public.report_*"]
"""

RETURN = r"""
skip_reason:
  description: Why nothing was looked at; empty where it was.
  returned: always
  type: str
faults:
  description: What would stop the run behind the fence, each with C(what) and C(fix).
  returned: always
  type: list
  elements: dict
notes:
  description: Differences that stop nothing.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.schema import built

OPTIONS = {"accepted": {"type": "list", "elements": "str", "default": []}}


def main() -> None:
    """Look, and fail where anything would stop the run later."""
    module = AnsibleModule(argument_spec=arguments.database(**OPTIONS), supports_check_mode=True)
    with failures(module):
        database = Database.from_options(module.params["database"])
        module.exit_json(changed=False, **built.require(database, tuple(module.params["accepted"])))


if __name__ == "__main__":
    main()
