#!/usr/bin/python
"""The Ansible module ``pg_fence``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_fence
short_description: Close or open the write fence of one side of a database
version_added: "0.1.0"
description:
  - A fence is a statement trigger on every table that refuses every writer, the owner and superusers included.
  - Closing waits for the transactions that have written, up to a limit, and names who is in the way when it gives up.
  - A closed fence is proved by a write as every role, which must be refused. Readers go on.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  side:
    description: Which side of the database.
    type: str
    required: true
    choices: [source, target]
  state:
    description:
      - V(prepared) creates the triggers disabled, so that closing only has to enable them.
      - V(closed) refuses all writers, V(open) lets them write.
    type: str
    required: true
    choices: [prepared, closed, open]
  timeout_seconds:
    description: How long to wait for open transactions.
    type: float
    default: 60
  rollback:
    description:
      - The rollback asks for it. The journal must agree, a run that is not being rolled back refuses it.
    type: bool
    default: false
  early:
    description:
      - Open the source only where its target was never open, so that it has every row. It need not wait for the rest of
        the rollback then.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the state of every table before and after.
    support: full
"""

EXAMPLES = r"""
- name: Fence the source
  pg_fence:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
    side: source
    state: closed
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
tables:
  description: Every table with the state of its fence.
  type: list
  elements: dict
  returned: when not in check mode
closed_at:
  description: When the fence closed; the write outage begins.
  type: str
  returned: once the phase has closed it, unless there was nothing to do
locking_at:
  description: Since when its locks were waited for, and writers behind them.
  type: str
  returned: once the phase has closed it, unless there was nothing to do
waited_seconds:
  description: How long open transactions were waited for.
  type: float
  returned: once the phase has closed it, unless there was nothing to do
fence_epoch:
  description: Identity of the closed fence; one that was opened and closed again, also by hand, has another.
  type: str
  returned: once the phase has closed it, unless there was nothing to do
probes:
  description: What happened to a write of every role on every table.
  type: list
  elements: dict
  returned: once the phase has closed it, unless there was nothing to do; also on the failure of a probe
opened_at:
  description: When the fence was opened.
  type: str
  returned: once the phase has opened it, unless there was nothing to do
msg:
  description: Why nothing is switched; the run has cut over, or the tables bring their fence along.
  type: str
  returned: when there was nothing to do, not in check mode
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock the tables
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.fence import phase as fence_phase
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures


def main() -> None:
    """Plan, and switch."""
    spec = arguments.phase(
        side={"type": "str", "required": True, "choices": ["source", "target"]},
        state={"type": "str", "required": True, "choices": ["prepared", "closed", "open"]},
        timeout_seconds={"type": "float", "default": 60},
        rollback={"type": "bool", "default": False},
        early={"type": "bool", "default": False},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        database = Database.from_options(given["database"], given["run_id"])
        plan = fence_phase.plan(
            database, given["side"], given["state"], rollback=given["rollback"], early=given["early"]
        )
        carry_out(module, plan, lambda: fence_phase.apply(plan, given["timeout_seconds"]))


if __name__ == "__main__":
    main()
