#!/usr/bin/python
"""The Ansible module ``pg_restore``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore
short_description: Restore a lost source database from its proved dump
version_added: "0.1.0"
description:
  - The last resort of a rollback, for a source that is destroyed. Needs consent, typed word by word.
  - Checks the dump against the journal, restores it with owners and grants into a database of its own, compares the
    content with the manifest, closes the fence there, and then renames both databases in one transaction.
  - What was there before stays as C(DBNAME_lost_RUN); nothing is dropped.
  - Sessions of the runbook on the old database are ended. Where others are left, it stops and names them.
  - Rows that are newer than the dump are brought back afterwards from the storage database (C(pg_reconcile)).
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.run]
options:
  directory:
    description: Directory on the runner that holds the dumps of all runs.
    type: path
    required: true
  postgresql_bin:
    description: Directory of pg_restore on the runner, at least of the version that made the dump.
    type: path
    required: true
  backup_run_id:
    description: Take the dump of this run. Without it, that of the latest run.
    type: str
  maintenance_dbname:
    description: Database of the source's server to connect to while the other is replaced.
    type: str
    default: postgres
  consent:
    description: The sentence that names what would be lost, as this module returns it in check mode.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns which database would be replaced by what.
    support: full
"""

EXAMPLES = r"""
- name: Restore the lost source
  pg_restore:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
    directory: "{{ consolidation_backup_directory }}"
    postgresql_bin: "{{ consolidation_postgresql_bin }}"
    consent: lose writes to campaign_db since 2026-11-22T01:02:03Z
"""

RETURN = r"""
msg:
  description: What was done, or what would be lost and the sentence to type.
  returned: success
  type: str
consent:
  description: The sentence to type; needed to go on.
  returned: success, and on the failure without it
  type: str
run_id:
  description: Id of the run that is rolled back.
  returned: success
  type: str
directory:
  description: Where the dump is.
  returned: success
  type: str
fence_epoch:
  description: Fence epoch of the restored database.
  returned: when restored
  type: str
kept_as:
  description: Name of what was there before; null where there was nothing.
  returned: when restored
  type: str
tables:
  description: Name, rows and content digest of every restored table.
  returned: when restored
  type: list
  elements: dict
not_restored:
  description: Entries of the dump that could not be restored, each with the reason; no table needs them.
  returned: when restored, unless a run that was killed had loaded the dump
  type: list
  elements: str
settings_not_restored:
  description: Settings of the database that the role may not set; set them as superuser.
  returned: when restored, unless a run that was killed had loaded the dump
  type: list
  elements: str
seconds:
  description: Duration.
  returned: when restored
  type: float
differences:
  description: What was restored otherwise than dumped.
  returned: on the failure of the comparison
  type: list
  elements: str
blockers:
  description: Who was in the way of a lock.
  returned: on the failure to fence what was restored
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from consolidation.model import Database
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures
from consolidation.rollback import restore


def main() -> None:
    """Plan, and restore."""
    spec = arguments.phase(
        directory={"type": "path", "required": True},
        postgresql_bin={"type": "path", "required": True},
        backup_run_id={"type": "str"},
        maintenance_dbname={"type": "str", "default": "postgres"},
        consent={"type": "str", "default": ""},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        plan = restore.plan(
            Database.from_options(given["database"], given["run_id"]),
            Path(given["directory"]),
            Path(given["postgresql_bin"]),
            maintenance_dbname=given["maintenance_dbname"],
            backup_run_id=given["backup_run_id"],
        )
        carry_out(module, plan, lambda: restore.apply(plan, given["consent"]), checked=plan.as_result())


if __name__ == "__main__":
    main()
