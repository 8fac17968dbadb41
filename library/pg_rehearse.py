#!/usr/bin/python
"""The Ansible module ``pg_rehearse``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_rehearse
short_description: Migrate a copy of a service database, and measure it
version_added: "0.1.0"
description:
  - Dumps the source, restores the dump on the server of the drill, and migrates that copy into a scratch database
    beside the storage database by the code of a migration, from the backup with its drill to the cutover.
  - The source is only read by pg_dump, nothing of it is fenced. The storage database is not touched.
  - Everything is dropped at the end, also after a failure. What a killed rehearsal has left is dropped by the next one,
    known by its owner and its comment.
  - In mode V(online) the source itself is captured, copied and followed into the scratch database for a while, as far
    as the change-over, while its writers go on; the triggers and the noted keys are gone afterwards. What a killed
    rehearsal has left of them is removed by the next one, and reported by preflight.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.drill]
options:
  backup_directory:
    description: Directory of the backups on the runner. The rehearsal's dump is below it until the end.
    type: path
    required: true
  postgresql_bin:
    description: Directory of pg_dump, pg_restore and pg_dumpall on the runner, at least of the newest server's version.
    type: path
    required: true
  workers:
    description: Number of processes that load, and of tables that are compared at the same time.
    type: int
    default: 2
  accepted:
    description: Objects that may stay behind, as M(storage.consolidation.pg_preflight_info) takes them.
    type: list
    elements: str
    default: []
  follow_seconds:
    description: In mode V(online), how long rounds bring over what changes.
    type: float
    default: 120
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what would be made and dropped again.
    support: full
"""

EXAMPLES = r"""
- name: Rehearse the migration
  pg_rehearse:
    database: "{{ consolidation_database }}"
    backup_directory: "{{ consolidation_backup_directory }}"
    postgresql_bin: "{{ consolidation_postgresql_bin }}"
"""

RETURN = r"""
msg:
  description: What was measured, in a sentence.
  type: str
  returned: when not in check mode
ticket:
  description:
    - C(made_at), C(subject) (what it is valid for), C(read_from), C(database_bytes), C(dump_bytes), C(tables) with
      their rows and bytes, C(journal) with the phases' beginnings and ends.
    - In mode V(online) also C(online) with the rounds, their median and 95th percentile, the keys, the oldest
      transaction that had written, and what the capture costs a changed row.
  type: dict
  returned: when not in check mode
differences:
  description: What was restored otherwise than dumped.
  type: list
  elements: str
  returned: on the failure of the drill
faults:
  description: What would stop a run behind the fence.
  type: list
  elements: dict
  returned: on the failure of the look at the built target
notes:
  description: What else was seen of the built target.
  type: list
  elements: str
  returned: on the failure of the look at the built target
skip_reason:
  description: Why the built target is not looked at.
  type: str
  returned: on the failure of the look at the built target
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database, connection_settings
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.rehearse import phase as rehearse


def main() -> None:
    """Plan, and rehearse. It leaves nothing on any server, so nothing is changed."""
    spec = arguments.database(
        backup_directory={"type": "path", "required": True},
        postgresql_bin={"type": "path", "required": True},
        drill=arguments.connection() | {"required": False},
        workers={"type": "int", "default": 2},
        accepted={"type": "list", "elements": "str", "default": []},
        follow_seconds={"type": "float", "default": 120},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        database = Database.from_options(given["database"])
        drill = connection_settings(given["drill"]) if given["drill"] else database.target
        places = (Path(given["backup_directory"]), Path(given["postgresql_bin"]))
        accepted = tuple(given["accepted"])
        options = rehearse.Options(*places, drill, given["workers"], accepted, given["follow_seconds"])
        plan = rehearse.plan(database, options)
        result = {} if module.check_mode else rehearse.apply(plan)
        msg = {"ticket": result, "msg": rehearse.summary(result)} if result else {}
        module.exit_json(changed=False, diff=plan.diff(), **msg)


if __name__ == "__main__":
    main()
