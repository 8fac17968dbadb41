#!/usr/bin/python
"""The Ansible module ``run_journal``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_journal
short_description: Begin, resume or end a run in the journal
version_added: "0.1.0"
description:
  - Begins a run for a service database, or resumes the unfinished one; creates the journal where there is none.
  - Refuses while another ansible-playbook process is active on the same database, and says whose.
  - Ends a run by setting its final state.
extends_documentation_fragment: [storage.consolidation.consolidation]
options:
  state:
    description:
      - V(migrating) begins or resumes a migration, V(rolling_back) a rollback.
      - V(migrated) and V(rolled_back) end them.
    type: str
    required: true
    choices: [migrating, migrated, rolling_back, rolled_back]
  control:
    description: The calling process, from the lookup C(control_process).
    type: dict
    required: true
  other_alive:
    description: The process that the open run names, if the control node found it alive; empty where it is gone.
    type: dict
    default: {}
  take_over:
    description: Id of an open run of another control node whose process is confirmed to be gone.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the run's state before and after.
    support: full
"""

EXAMPLES = r"""
- name: Begin the run, or resume it
  run_journal:
    database: "{{ consolidation_database }}"
    state: migrating
    control: "{{ lookup('control_process') }}"
"""

RETURN = r"""
run:
  description: The run with its id, state, operator, control process and start.
  type: dict
  returned: always
run_id:
  description: Id of the run; empty in check mode before the first run.
  type: str
  returned: always
mode:
  description: How the rows get to their schema, V(copy), V(online) or V(move).
  type: str
  returned: always
follows:
  description: Whether the source is written until the cutover, and followed until then.
  type: bool
  returned: always
two_copies:
  description: Whether source and target each have rows of their own; else the source's tables become the target's.
  type: bool
  returned: always
restored:
  description: Whether the source was restored from its dump; it is older than what the target has noted then.
  type: bool
  returned: always
authoritative:
  description: The side that may hold rows which the other does not have, V(source) or V(target).
  type: str
  returned: always
finalized:
  description: Whether the source is retired, or is about to be; there is nothing left to do then.
  type: bool
  returned: always
cut_over:
  description: Whether the run has ever opened the target.
  type: bool
  returned: always
msg:
  description: The state of the run, in a sentence.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.journal import runs as run
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures


def main() -> None:
    """Plan, and write it down."""
    spec = arguments.database(
        state={"type": "str", "required": True, "choices": ["migrating", "migrated", "rolling_back", "rolled_back"]},
        control={"type": "dict", "required": True},
        other_alive={"type": "dict", "default": {}},
        take_over={"type": "str", "default": ""},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        caller = run.Caller(given["control"], given["other_alive"] or None, given["take_over"])
        plan = run.plan(Database.from_options(given["database"]), given["state"], caller)
        result = plan.as_result() if module.check_mode else run.apply(plan, caller)
        module.exit_json(changed=plan.changed, diff=plan.diff(), **result)


if __name__ == "__main__":
    main()
