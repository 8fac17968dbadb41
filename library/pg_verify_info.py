#!/usr/bin/python
"""The Ansible module ``pg_verify_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_verify_info
short_description: Compare both sides of a database by content
version_added: "0.1.0"
description:
  - Compares every row of every table, and the positions of the sequences, in one snapshot for each side.
  - Tests itself first; a verifier that does not see damage done to a scratch table stops the run.
  - A table is C(equal), C(different) or C(could_not_compare); the module fails unless everything is equal.
  - Where tables differ, the result counts missing, extra and different rows and names some of their keys.
extends_documentation_fragment: [storage.consolidation.consolidation]
options:
  record:
    description:
      - Whether this is the verify phase of the run under way, whose result the journal keeps. Needs both fences closed.
        In mode online the source is written meanwhile, and both sides are compared at one snapshot of it.
      - The only thing that is written, and nothing at all in check mode, which then says what would be compared.
    type: bool
    default: false
  run_id:
    description: The run that this command has begun; needed with O(record=true), but for check mode.
    type: str
    default: ""
  workers:
    description: Number of tables under way at the same time, each with a session on either side.
    type: int
    default: 2
  max_keys:
    description: Number of keys to name for each table and kind of difference.
    type: int
    default: 20
  recheck_seconds:
    description:
      - For how many seconds rows that differ are looked at again before they are called different. Only without
        O(record), for a pair that is written while one side follows the other; longer than the follower's lag.
      - A table with rows that changed on both sides all the time and never matched is C(could_not_compare).
    type: int
    default: 10
  progress_file:
    description:
      - File on the host that the module runs on, replaced every second with how far each table is; no row data.
      - Only with O(record=true).
    type: path
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns one line for each table with the estimate of its rows.
    support: full
"""

EXAMPLES = r"""
- name: Compare both sides, and keep the result in the journal
  pg_verify_info:
    database: "{{ consolidation_database }}"
    record: true
    run_id: "{{ consolidation_run_id }}"

- name: Compare both sides while they are written, one following the other by half a minute at most
  pg_verify_info:
    database: "{{ consolidation_database }}"
    recheck_seconds: 60
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: with O(record=true), when not in check mode
fence_epoch:
  description: Fence epoch of the source, behind which both sides were compared.
  type: str
  returned: with O(record=true), when not in check mode
target_epoch:
  description: Identity of the target's closed fence and of its tables, while they were compared.
  type: str
  returned: with O(record=true), when not in check mode
copy_id:
  description: Identity of the copy that was compared.
  type: str
  returned: with O(record=true), when not in check mode
outcome:
  description: V(equal), V(different) or V(could_not_compare); the worst of all tables and sequences.
  type: str
  returned: when compared, also on failure
tables:
  description: Name, outcome, rows and digests of both sides, differences, reason and seconds of every table.
  type: list
  elements: dict
  returned: when compared, also on failure
sequences:
  description: Name, outcome and next value on both sides of every sequence.
  type: list
  elements: dict
  returned: when compared, also on failure
faults:
  description: What is not in force on the target, or not defined as the schema phase left it.
  type: list
  elements: str
  returned: when compared, also on failure
summary:
  description: The same as lines for people.
  type: list
  elements: str
  returned: always
at:
  description: When the comparison ended, in mode online; later changes are compared as they are brought over.
  type: str
  returned: with O(record=true), in mode online
extended_at:
  description: When the source was closed, in mode online; what was compared until then holds for that closing.
  type: str
  returned: once the run has cut over, with O(record=true), in mode online
self_test:
  description: How many kinds of damage the verifier was tested with, and how many it saw.
  type: dict
  returned: when compared, also on failure
seconds:
  description: Duration of the comparison.
  type: float
  returned: when compared, also on failure
msg:
  description: Why nothing is compared; the run has opened the target.
  type: str
  returned: when there was nothing to do, with O(record=true), not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.follow import verification
from consolidation.journal.results import Phase
from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.progress import reporter as progress
from consolidation.verify import phase as verify


def main() -> None:
    """Plan, and compare."""
    spec = arguments.database(
        record={"type": "bool", "default": False},
        run_id={"type": "str", "default": ""},
        workers={"type": "int", "default": 2},
        max_keys={"type": "int", "no_log": False, "default": 20},
        recheck_seconds={"type": "int", "default": 10},
        progress_file={"type": "path"},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        options = verify.Options(given["workers"], given["max_keys"], given["recheck_seconds"])
        plan = verify.plan(Database.from_options(given["database"], given["run_id"]))
        if not given["record"]:
            module.exit_json(changed=False, **verify.check(plan.database, options))
        if module.check_mode:
            module.exit_json(changed=plan.changed, diff=plan.diff(), summary=plan.lines())
        with progress.reported(plan.database, Phase.VERIFY, given["progress_file"], options.tally):
            result = verification.apply(plan, options)
        module.exit_json(changed=plan.changed, diff=plan.diff(), **result)


if __name__ == "__main__":
    main()
