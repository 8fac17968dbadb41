#!/usr/bin/python
"""The Ansible module ``pg_rollback``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_rollback
short_description: Bring what the target has noted since its opening to the source, and open that
version_added: "0.1.0"
description:
  - The target notes the keys of the rows that change from its opening on. Rounds bring these rows to the closed source
    while the target is written; each compares what it brought.
  - When two rounds in a row were shorter than O(lag_seconds), the target closes, a last round brings the rest, and the
    source opens, all in this process. Whatever fails or takes longer than O(budget_seconds) before that, the target is
    opened again and nothing is lost.
  - Where the target has not noted all that changed, there is nothing to do here, and
    M(storage.consolidation.pg_reconcile) brings the rows back by content.
extends_documentation_fragment:
  - storage.consolidation.consolidation
  - storage.consolidation.consolidation.run
  - storage.consolidation.consolidation.rounds
  - storage.consolidation.consolidation.change_over
options:
  settle_seconds:
    description:
      - How long to do nothing after the opening. The services start then; where they share the runner's machine,
        Ansible's next tasks would take the processors from them.
    type: float
    default: 0
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the tables that have noted keys.
    support: full
"""

EXAMPLES = r"""
- name: Bring what the target has noted to the source, and open that
  pg_rollback:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
closing_at:
  description: When the first lock was asked for.
  type: str
  returned: when not in check mode, unless there was nothing to do
closed_at:
  description: When the write outage began.
  type: str
  returned: when not in check mode, unless there was nothing to do
opened_at:
  description: When the source was opened; the write outage of the database ends.
  type: str
  returned: when not in check mode, unless there was nothing to do
outage_seconds:
  description: Seconds from the first lock to the opening.
  type: float
  returned: when not in check mode, unless there was nothing to do
rounds:
  description: Rounds behind the closed fence.
  type: int
  returned: when not in check mode, unless there was nothing to do
keys:
  description: Noted keys that these have brought back.
  type: int
  returned: when not in check mode, unless there was nothing to do
rows:
  description: Rows that these have sent.
  type: int
  returned: when not in check mode, unless there was nothing to do
fence_epoch:
  description: Identity of this closing of the target.
  type: str
  returned: when not in check mode, unless there was nothing to do
probes:
  description: What happened to a write of every role on every table of the closed target.
  type: list
  elements: dict
  returned: when not in check mode, unless there was nothing to do
sequences:
  description: Sequences that were set on the source.
  type: list
  elements: str
  returned: when not in check mode, unless there was nothing to do
msg:
  description: Why nothing is brought back here.
  type: str
  returned: when there was nothing to do, not in check mode
aborted:
  description: Earlier attempts, that have opened the target again, each with C(closing_at) and C(reopened_at).
  type: list
  elements: dict
  returned: when not in check mode, unless there was nothing to do
reopened_at:
  description: When the target was opened again.
  type: str
  returned: when the change-over failed before the opening
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock the tables or sequences
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.follow.changeover import Options
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.rollback import changeover


def main() -> None:
    """Plan, and change over."""
    spec = arguments.phase(**arguments.change_over(), settle_seconds={"type": "float", "default": 0})
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = changeover.plan(Database.from_options(given["database"], given["run_id"]))
        carry_out(module, plan, lambda: changeover.apply(plan, Options.from_options(given)))


if __name__ == "__main__":
    main()
