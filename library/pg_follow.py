#!/usr/bin/python
"""The Ansible module ``pg_follow``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_follow
short_description: Bring the rows whose keys one side has noted to the other, until it is close behind
version_added: "0.1.0"
description:
  - A round brings the rows of the keys that M(storage.consolidation.pg_capture) has noted as one snapshot has them,
    compares them on both sides and commits; then it deletes the keys. It may be cut off anywhere and run again.
  - Rounds go on until two in a row were shorter than O(lag_seconds). Nothing is closed or opened, writers go on.
  - A table without a key, and one that was truncated, rewritten or not captured for a moment, is brought over by
    content.
  - The side that receives must be closed by its fence.
extends_documentation_fragment:
  - storage.consolidation.consolidation
  - storage.consolidation.consolidation.run
  - storage.consolidation.consolidation.rounds
options:
  to:
    description:
      - V(target) follows the source before the cutover; V(source) brings back what the target has noted after it, so
        that a rollback is short.
    type: str
    required: true
    choices: [source, target]
  pause_seconds:
    description: Pause between two rounds.
    type: float
    default: 1
  hold_file:
    description:
      - File on the host that the module runs on. It is made at the beginning, and rounds go on for as long as it is
        there; who removes it lets the cutover begin.
    type: path
  log_bytes:
    description: What the noted keys may take, in bytes, before it is given up with the figures.
    type: int
    default: 5000000000
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the tables that have noted keys.
    support: full
"""

EXAMPLES = r"""
- name: Follow the source
  pg_follow:
    database: "{{ consolidation_database }}"
    run_id: "{{ journal_run_id }}"
    to: target
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
to:
  description: The side that has received.
  type: str
  returned: when not in check mode, unless there was nothing to do
rounds:
  description: Rounds of this run so far.
  type: int
  returned: when not in check mode, unless there was nothing to do
keys:
  description: Noted keys that they have brought over.
  type: int
  returned: when not in check mode, unless there was nothing to do
rows:
  description: Rows that they have sent.
  type: int
  returned: when not in check mode, unless there was nothing to do
lag_seconds:
  description: Duration of the last round.
  type: float
  returned: when not in check mode, unless there was nothing to do
last_rounds:
  description: Seconds, keys, rows and completeness of the last ten rounds.
  type: list
  elements: dict
  returned: when not in check mode, unless there was nothing to do
seconds:
  description: Duration of it all.
  type: float
  returned: when not in check mode, unless there was nothing to do
msg:
  description: Why nothing is followed.
  type: str
  returned: when there was nothing to do, not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.follow import phase as follow
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures


def main() -> None:
    """Plan, and follow."""
    spec = arguments.phase(
        to={"type": "str", "required": True, "choices": ["source", "target"]},
        **arguments.rounds(pause_seconds=1),
        hold_file={"type": "path"},
        log_bytes={"type": "int", "default": 5 * 10**9},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = follow.plan(Database.from_options(given["database"], given["run_id"]), given["to"])
        carry_out(module, plan, lambda: follow.apply(plan, follow.Options.from_options(given)))


if __name__ == "__main__":
    main()
