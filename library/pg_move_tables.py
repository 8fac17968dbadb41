#!/usr/bin/python
"""The Ansible module ``pg_move_tables``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_move_tables
short_description: Move tables that already are in the storage database to their schema
version_added: "0.1.0"
description:
  - Moves the tables with C(ALTER TABLE SET SCHEMA), all in one transaction with a lock timeout and retries.
  - Owned sequences follow their table. Others are moved; with an explicit list of tables only those that the tables'
    defaults use or the lineage names. The fence moves with its table.
  - The lineage is stamped in the same transaction, after Alembic has found the tables equal to its models; otherwise
    the tables stay where they were and the differences are named.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  state:
    description: V(moved) to the target schema, or V(returned) to the source schema (rollback).
    type: str
    default: moved
    choices: [moved, returned]
  timeout_seconds:
    description: How long to wait for open transactions.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns one line for each table and sequence.
    support: full
"""

EXAMPLES = r"""
- name: Move the tables
  pg_move_tables:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when not in check mode, unless there was nothing to do
tables:
  description: Rows and digests of the tables before they were moved.
  type: list
  elements: dict
  returned: once the phase has moved tables, unless there was nothing to do
sequences:
  description: Names of the sequences that no column owns and that were moved.
  type: list
  elements: str
  returned: once the phase has moved tables, unless there was nothing to do
copy_id:
  description: Identity of what was loaded; another one after anything was loaded, emptied or repaired.
  type: str
  returned: once the phase has moved tables, unless there was nothing to do
definitions:
  description: Digest of every named definition that was moved, by which the verification finds what is lost.
  type: dict
  returned: once the phase has moved tables, unless there was nothing to do
msg:
  description: Why nothing is moved; the run has moved the tables already, or they are copied.
  type: str
  returned: when there was nothing to do, not in check mode
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock the tables
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.move import phase as move


def main() -> None:
    """Plan, and move."""
    spec = arguments.phase(
        state={"type": "str", "default": "moved", "choices": ["moved", "returned"]},
        timeout_seconds={"type": "float", "default": 60},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = move.plan(Database.from_options(given["database"], given["run_id"]), back=given["state"] == "returned")
        carry_out(module, plan, lambda: move.apply(plan, given["timeout_seconds"]))


if __name__ == "__main__":
    main()
