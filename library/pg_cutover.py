#!/usr/bin/python
"""The Ansible module ``pg_cutover``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_cutover
short_description: Open the target of a database that was verified equal
version_added: "0.1.0"
description:
  - Opens the target's tables to their roles. Refuses unless the source is fenced and every table was verified equal.
  - In mode online the source is written until now. Rounds run until two in a row were shorter than O(lag_seconds); then
    the source closes, a last round brings the rest, and the target opens, all in this process. Whatever fails or takes
    longer than O(budget_seconds) before the opening is journalled, the source is opened again and nothing is lost.
  - Measures the write outage, from the closing of the source's fence to the opening of the target's.
  - From its opening on the target notes the keys of the rows that change, so that a rollback is short.
extends_documentation_fragment:
  - storage.consolidation.consolidation
  - storage.consolidation.consolidation.run
  - storage.consolidation.consolidation.rounds
  - storage.consolidation.consolidation.change_over
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the tables that would be opened.
    support: full
"""

EXAMPLES = r"""
- name: Open the target
  pg_cutover:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
closed_at:
  description: When the fence of the source closed; the write outage began.
  type: str
  returned: when not in check mode, unless there was nothing to do
opening_at:
  description: When the opening of the target began.
  type: str
  returned: when not in check mode, unless there was nothing to do
opened_at:
  description: When the target was opened; the write outage of the databases ends.
  type: str
  returned: when not in check mode, unless there was nothing to do
outage_seconds:
  description: Seconds from the moment the source was closed to the moment the target was opened.
  type: float
  returned: when not in check mode, unless there was nothing to do
msg:
  description: Which run has cut the database over already.
  type: str
  returned: when there was nothing to do, not in check mode
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock the tables or sequences
closing_at:
  description: When the first lock was asked for.
  type: str
  returned: when the change-over failed before the opening
reopened_at:
  description: When the source was opened again.
  type: str
  returned: in mode online, when the change-over failed before the opening
rounds:
  description: Seconds, keys, rows and completeness of the last ten rounds.
  type: list
  elements: dict
  returned: in mode online, when the rounds did not become short enough
probes:
  description: Role, table and outcome of every try to write the closed target.
  type: list
  elements: dict
  returned: when a role could not write once it opens
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.cutover import phase as cutover
from consolidation.follow.changeover import Options
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures


def main() -> None:
    """Plan, and open."""
    spec = arguments.phase(**arguments.change_over())
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = cutover.plan(Database.from_options(given["database"], given["run_id"]))
        carry_out(module, plan, lambda: cutover.apply(plan, Options.from_options(given)))


if __name__ == "__main__":
    main()
