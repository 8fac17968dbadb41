#!/usr/bin/python
"""The Ansible module ``run_journal_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_journal_info
short_description: Read what the journal knows of the newest run of a database
version_added: "0.1.0"
description:
  - Reads the newest run of a service database from the journal in the storage database, with all databases of that run,
    their phases, results, times, errors and how far each table is loaded.
  - Reads one snapshot and writes nothing.
extends_documentation_fragment: [storage.consolidation.consolidation]
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
"""

EXAMPLES = r"""
- name: Read the journal
  run_journal_info:
    database: "{{ consolidation_database }}"
  register: report_journal
"""

RETURN = r"""
run:
  description: The newest run, with the versions of runbook and storage server; null without a run.
  type: dict
  returned: always
databases:
  description: Every database of that run with its state, phases and table loads.
  type: list
  elements: dict
  returned: always
authoritative:
  description: The side that may hold rows which the other does not have, V(source) or V(target).
  type: str
  returned: always
writers:
  description: Which side takes writes right now, in words, by the fences of both sides.
  type: str
  returned: always
active:
  description: Whether a process works on this database right now.
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.fence import sides
from consolidation.journal import facts as journal_facts
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures


def main() -> None:
    """Read and return."""
    module = AnsibleModule(argument_spec=arguments.database(), supports_check_mode=True)
    with failures(module):
        database = Database.from_options(module.params["database"])
        module.exit_json(changed=False, writers=sides.writers(database), **journal_facts.read(database))


if __name__ == "__main__":
    main()
