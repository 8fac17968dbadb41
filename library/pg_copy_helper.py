#!/usr/bin/python
"""The Ansible module ``pg_copy_helper``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_copy_helper
short_description: Help the copy of a database from an additional copy host
version_added: "0.1.0"
description:
  - Waits until C(pg_copy), which coordinates the copy on another host, has queued its chunks;
    then loads chunks until none is left.
  - The coordinator needs no help, and loads what an additional host leaves behind. Nothing that such a host does counts
    without the coordinator.
  - Start it with C(async) before C(pg_copy).
extends_documentation_fragment: [storage.consolidation.consolidation]
options:
  workers:
    description: Number of worker processes, each with a connection to both sides.
    type: int
    default: 2
  wait_seconds:
    description: How long to wait for the coordinator.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
    details: Does nothing then; C(pg_copy) says what is to be loaded.
  diff_mode:
    description: Has none; C(pg_copy) says what is to be loaded.
    support: none
"""

EXAMPLES = r"""
- name: Help from an additional copy host
  pg_copy_helper:
    database: "{{ consolidation_database }}"
  delegate_to: runner-2
  async: 604800
  poll: 0
"""

RETURN = r"""
chunks:
  description: Number of chunks that this host has loaded in the run.
  type: int
  returned: when not in check mode, also where workers failed
rows:
  description: Number of their rows.
  type: int
  returned: when not in check mode, also where workers failed
bytes:
  description: Number of their bytes.
  type: int
  returned: when not in check mode, also where workers failed
host:
  description: Name of this host.
  type: str
  returned: when it has loaded any chunk
msg:
  description: The same for people.
  type: str
  returned: when not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.copy import helper
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures


def main() -> None:
    """Join the copy."""
    spec = arguments.database(workers={"type": "int", "default": 2}, wait_seconds={"type": "float", "default": 60})
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=False)
    with failures(module):
        given = module.params
        database = Database.from_options(given["database"])
        result = helper.join(database, given["workers"], given["wait_seconds"])
        module.exit_json(changed=bool(result["chunks"]), **result)


if __name__ == "__main__":
    main()
