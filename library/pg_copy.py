#!/usr/bin/python
"""The Ansible module ``pg_copy``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_copy
short_description: Copy every row of a database's tables into its target schema
version_added: "0.1.0"
description:
  - Streams the tables with COPY in constant memory, from one snapshot of the fenced source, with several workers.
  - A chunk and its mark in the journal commit together, so an interrupted copy resumes and nothing is loaded twice.
  - Keys, indexes and triggers of the target are dropped for the load and restored after it; then ANALYZE runs.
  - V(absent) empties the target's tables again and restores their keys (rollback before the cutover).
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  state:
    description: Whether the rows are to be in the target.
    type: str
    default: present
    choices: [present, absent]
  workers:
    description: Number of worker processes, each with a connection to both sides.
    type: int
    default: 2
  readers:
    description:
      - Number of processes that read every table of the target again as soon as it is loaded, while others load, so
        that M(storage.consolidation.pg_verify_info) need not; no more than the runner has cores beside O(workers).
      - Not in mode online.
    type: int
    default: 0
  timeout_seconds:
    description: With O(state=absent), how long transactions that hold the target's tables are waited for.
    type: float
    default: 60
  progress_file:
    description:
      - File on the host that the module runs on, replaced every second with how far each table is; no row data.
      - The callback plugin C(progress) follows it, and so does C(python -m consolidation.progress.view FILE).
    type: path
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns one line for each table with the estimates of its rows and bytes.
    support: full
"""

EXAMPLES = r"""
- name: Copy the tables
  pg_copy:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
    workers: 2
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
mode:
  description:
    - How the rows get to the target, V(copy) or V(online); V(move) where the tables are in the storage database, and
      M(storage.consolidation.pg_move_tables) moves them.
  type: str
  returned: with O(state=present)
copies:
  description: Whether the rows are copied, else M(storage.consolidation.pg_move_tables) moves their tables.
  type: bool
  returned: with O(state=present)
tables:
  description: Rows, bytes, chunks and seconds of every table.
  type: list
  elements: dict
  returned: with O(state=present), when not in check mode, unless there was nothing to do
hosts:
  description: Name of every host that took part, with the chunks, rows and bytes that it has loaded.
  type: list
  elements: dict
  returned: with O(state=present), when not in check mode, unless there was nothing to do
copy_id:
  description: Identity of what was loaded; another one after anything was loaded, emptied or repaired.
  type: str
  returned: with O(state=present), when not in check mode, unless there was nothing to do
sequences:
  description: Sequences that were set.
  type: list
  elements: dict
  returned: with O(state=present), when not in check mode, unless there was nothing to do
seconds:
  description: Duration of the copy.
  type: float
  returned: with O(state=present), when not in check mode, unless there was nothing to do
emptied:
  description: Names of the tables that were emptied.
  type: list
  elements: str
  returned: with O(state=absent), when not in check mode
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock the tables with O(state=absent)
msg:
  description: Why nothing is copied; the tables are moved, or the target was opened.
  type: str
  returned: when there was nothing to do, not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.copy import phase as copy
from consolidation.copy import undo as discard
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.progress import reporter as progress


def main() -> None:
    """Plan, and copy."""
    spec = arguments.phase(
        state={"type": "str", "default": "present", "choices": ["present", "absent"]},
        workers={"type": "int", "default": 2},
        readers={"type": "int", "default": 0},
        timeout_seconds={"type": "float", "default": 60},
        progress_file={"type": "path"},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        database = Database.from_options(given["database"], given["run_id"])
        if given["state"] == "absent":
            emptying = discard.plan(database)
            result = {} if module.check_mode else discard.apply(emptying, given["timeout_seconds"])
            module.exit_json(changed=emptying.changed, diff=emptying.diff(), **result)
        plan, strategy = copy.plan(database), database.strategy
        found = {"changed": plan.changed, "diff": plan.diff(), "mode": strategy.name, "copies": strategy.two_copies}
        if module.check_mode:
            module.exit_json(**found)
        with progress.reported(database, "copy", given["progress_file"]):
            result = copy.apply(plan, given["workers"], given["readers"])
        module.exit_json(**found | result)


if __name__ == "__main__":
    main()
