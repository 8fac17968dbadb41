#!/usr/bin/python
"""The Ansible module ``pg_resolve``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_resolve
short_description: Resolve a run whose journal and sides disagree
version_added: "0.1.0"
description:
  - Does nothing where both sides are as the run says.
  - Else compares both sides. Where they are equal, one of them is closed, the other one is open, and the run says so.
  - Where they differ it refuses without the typed sentence that names the side whose rows stay. What only the other
    side has, or has otherwise, is written to files of mode 0600 in O(backup_directory) first.
  - May be cut off anywhere and run again. Until it has come to its end, M(storage.consolidation.pg_sides_info) fails.
extends_documentation_fragment: [storage.consolidation.consolidation]
options:
  keep:
    description: The sentence that names the side whose rows stay, as check mode prints it.
    type: str
    default: ""
  backup_directory:
    description: Directory of the backups on the runner; rows that are given up are kept there, below the run.
    type: path
    required: true
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
  workers:
    description: Number of tables compared at the same time, each with a session on either side.
    type: int
    default: 2
  timeout_seconds:
    description: How long to wait for open transactions.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what would be closed, changed, kept and opened, and the run's state.
    support: full
"""

EXAMPLES = r"""
- name: Resolve, the owner has decided
  pg_resolve:
    database: "{{ consolidation_database }}"
    backup_directory: "{{ consolidation_backup_directory }}"
    control: "{{ lookup('control_process') }}"
    keep: keep the rows of the target of campaign_db and give up what only its source has
"""

RETURN = r"""
msg:
  description: What was done and what is left to do; in check mode what would be, or the choice to make.
  type: str
  returned: always
run_id:
  description: Id of the run that says what is so now.
  type: str
  returned: when something was resolved
state:
  description: State of the run, V(migrated), V(migrating), V(rolling_back) or V(rolled_back); empty without a run.
  type: str
  returned: when not in check mode
keep:
  description: The side whose rows stay by the run's newest resolution, V(source) or V(target); empty without one.
  type: str
  returned: when not in check mode
typed:
  description: Whether the operator has said so.
  type: bool
  returned: when something was resolved
conflict:
  description: What did not fit together.
  type: str
  returned: when something was resolved
kept_in:
  description: Directories with the rows that were given up.
  type: list
  elements: str
  returned: when rows were given up
tables:
  description: Name and number of inserted, updated and deleted rows of every table that differed, on the other side.
  type: list
  elements: dict
  returned: when something was resolved
compared:
  description: Names of the tables that were compared.
  type: list
  elements: str
  returned: when something was resolved
sentences:
  description: The sentence of each side.
  type: dict
  returned: on the failure for want of a choice
differences:
  description: Name and number of rows to insert, update and delete to make the target like the source.
  type: list
  elements: dict
  returned: on the failure for want of a choice
refusals:
  description: Tables, columns and constraints of the source that do not take rows of the target.
  type: list
  elements: dict
  returned: on the failure to bring rows to the source
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock the tables
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from consolidation.journal.runs import Caller
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.rollback import resolve


def main() -> None:
    """Plan, and resolve."""
    spec = arguments.database(
        keep={"type": "str", "default": ""},
        backup_directory={"type": "path", "required": True},
        control={"type": "dict", "required": True},
        other_alive={"type": "dict", "default": {}},
        take_over={"type": "str", "default": ""},
        workers={"type": "int", "default": 2},
        timeout_seconds={"type": "float", "default": 60},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        caller = Caller(given["control"], given["other_alive"] or None, given["take_over"])
        database = Database.from_options(given["database"])
        plan = resolve.plan(database, given["keep"], Path(given["backup_directory"]), given["workers"])
        carry_out(
            module, plan, lambda: resolve.apply(plan, caller, given["timeout_seconds"]), checked={"msg": plan.msg}
        )


if __name__ == "__main__":
    main()
