#!/usr/bin/python
"""The Ansible module ``pg_capture``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_capture
short_description: Have one side of a database note the keys of the rows that change
version_added: "0.1.0"
description:
  - Three row triggers on every table write the keys of inserted, updated and deleted rows into a table of the schema
    C(consolidation), in the writer's own transaction. M(storage.consolidation.pg_follow) brings these rows to the other
    side.
  - Making and removing the triggers locks one table at a time, for a moment, and names who is in the way when it gives
    up. The application needs no right for it and goes on.
  - What was switched off, altered or truncated since is seen and put right; such a table is then compared in full.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  side:
    description: Which side of the database.
    type: str
    required: true
    choices: [source, target]
  state:
    description:
      - V(on) notes every change from now on; V(prepared) makes the triggers disabled, so that the change-over only has
        to enable them; V(absent) removes triggers, functions and noted keys.
      - The target is prepared only. It notes from its opening on.
    type: str
    required: true
    choices: ["on", prepared, absent]
  timeout_seconds:
    description: How long to wait for the open transactions of each table.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the state of every table before and after.
    support: full
"""

EXAMPLES = r"""
- name: Note what changes on the source
  pg_capture:
    database: "{{ consolidation_database }}"
    run_id: "{{ journal_run_id }}"
    side: source
    state: "on"
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
state:
  description: The state of all tables; V(broken) where they differ.
  type: str
  returned: when not in check mode, unless there was nothing to do
tables:
  description: Every table with the state of its capture and the bytes of its noted keys.
  type: list
  elements: dict
  returned: when not in check mode
msg:
  description: Why nothing is switched.
  type: str
  returned: when there was nothing to do, not in check mode
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock a table
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.capture import phase as capture
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures


def main() -> None:
    """Plan, and make or remove."""
    spec = arguments.phase(
        side={"type": "str", "required": True, "choices": ["source", "target"]},
        state={"type": "str", "required": True, "choices": ["on", "prepared", "absent"]},
        timeout_seconds={"type": "float", "default": 60},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = capture.plan(Database.from_options(given["database"], given["run_id"]), given["side"], given["state"])
        carry_out(module, plan, lambda: capture.apply(plan, given["timeout_seconds"]))


if __name__ == "__main__":
    main()
