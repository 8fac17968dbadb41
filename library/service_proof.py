#!/usr/bin/python
"""The Ansible module ``service_proof``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_proof
short_description: Smoke test of a service on the storage database, by what it wrote through its own API
version_added: "0.1.0"
description:
  - Checks that the rows are in the target's schema and not on the source, that the target's roles have sessions on the
    new side, and that the application's roles have none on the old side for some time.
  - In a rollback it only notes that the services are healthy on the source (V(returned)).
  - Deletes the rows again, whatever the outcome. They are in the journal before they are written (V(announced)), so
    that the next command finds them where this one was killed.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  rows:
    description:
      - Rows that are written through the service's API; the value of the column C(id), and the table.
      - Not used with O(state=absent), which deletes those that the journal has.
    type: dict
    default: {}
  state:
    description:
      - V(announced) notes the rows in the journal, before they are written, and watches the old side for
        O(watch_seconds).
      - V(present) tests.
      - V(absent) deletes what an earlier attempt has left.
      - V(returned) notes that the services are healthy on the source again, and how long their clients waited.
    type: str
    choices: [announced, present, absent, returned]
    default: present
  healthy_after_seconds:
    description:
      - How long after the opening the last host was healthy, at the most, as M(storage.consolidation.service_switch)
        returns it. Without it the outage is counted until now.
    type: float
  timeout_seconds:
    description: How long to wait until the last session has left the old side.
    type: float
    default: 30
  quiet_seconds:
    description: For how long no session may be seen there.
    type: float
    default: 5
  quiet_since:
    description:
      - Since when V(announced) has seen none there, its RV(quiet_since). It counts if the first look finds none either;
        the last two seconds are watched in any case.
    type: str
  watch_seconds:
    description: How long to look while the services are switched, which have the machine for themselves then.
    type: float
    default: 0
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what would be tested.
    support: full
"""

EXAMPLES = r"""
- name: Find the write in the new schema
  service_proof:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
    rows:
      7f1d2c3a-0000-5000-8000-000000000000: campaigns
"""

RETURN = r"""
run_id:
  description: Id of the run.
  type: str
  returned: when something was tested
written_at:
  description: When the service had acknowledged its write, at the latest.
  type: str
  returned: when something was tested
outage_seconds:
  description:
    - The outage as clients saw it, at the most. Seconds from the moment the other side was closed until every host was
      healthy (O(healthy_after_seconds)) and had taken its first write; where that is not known, until now.
  type: float
  returned: when something was tested or noted
healthy_at:
  description: When it was over.
  type: str
  returned: where it is known
rows:
  description: Number of rows that were found on the target, and not on the source.
  type: int
  returned: when something was tested
sessions:
  description: Number of sessions that the service has on the target.
  type: int
  returned: when something was tested
quiet_seconds:
  description: For how long it had none on the source, O(quiet_seconds).
  type: float
  returned: when something was tested
quiet_since:
  description: Since when the service has had no session on the source, by its clock; none while it has some.
  type: str
  returned: with O(state=announced)
removed:
  description: Number of deleted rows.
  type: int
  returned: with O(state=absent)
msg:
  description: Which run has cut the database over already.
  type: str
  returned: when there was nothing to do, not in check mode
sessions_left:
  description: Sessions that the service still has on the source.
  type: list
  elements: str
  returned: on the failure that there are any
"""

from datetime import datetime

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.services import back
from consolidation.services import proof as service_proof


def main() -> None:
    """Plan, and test."""
    spec = arguments.phase(
        rows={"type": "dict", "default": {}},
        state={"type": "str", "choices": ["announced", "present", "absent", "returned"], "default": "present"},
        healthy_after_seconds={"type": "float"},
        timeout_seconds={"type": "float", "default": 30},
        quiet_seconds={"type": "float", "default": 5},
        quiet_since={"type": "str"},
        watch_seconds={"type": "float", "default": 0},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        database = Database.from_options(given["database"], given["run_id"])
        if given["state"] == "absent":
            removed = service_proof.remove(database, keep=module.check_mode)
            module.exit_json(changed=removed > 0, removed=removed)
        if given["state"] == "returned":
            note_return(module, database)
        rows = [service_proof.Row(table, key) for key, table in given["rows"].items()]
        plan = service_proof.plan(database, rows)
        if given["state"] == "announced":
            announce(module, plan)
        since = datetime.fromisoformat(given["quiet_since"]) if given["quiet_since"] else None
        waits = service_proof.Waits(given["timeout_seconds"], given["quiet_seconds"], since)
        result = {} if module.check_mode else service_proof.apply(plan, waits, given["healthy_after_seconds"])
        module.exit_json(changed=plan.changed, diff=plan.diff(), **result)


def announce(module: AnsibleModule, plan: service_proof.Plan) -> None:
    """Before the service is asked to write."""
    if module.check_mode:
        module.exit_json(changed=False, quiet_since=None)
    changed = service_proof.announce(plan)
    since = service_proof.watch(plan, module.params["watch_seconds"])
    module.exit_json(changed=changed, quiet_since=since and since.isoformat())


def note_return(module: AnsibleModule, database: Database) -> None:
    """Of a rollback."""
    plan = back.plan(database)
    result = {} if module.check_mode else back.apply(plan, module.params["healthy_after_seconds"])
    module.exit_json(changed=plan.changed, diff=plan.diff(), **result)


if __name__ == "__main__":
    main()
