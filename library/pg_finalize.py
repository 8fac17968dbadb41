#!/usr/bin/python
"""The Ansible module ``pg_finalize``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_finalize
short_description: Archive, retire and drop the source of a migrated database
version_added: "0.1.0"
description:
  - Days after the migration, and in two steps that each want a typed sentence. Both sentences are in O(consent)'s way;
    without one nothing is changed, and the message says what would be and how to agree.
  - The first step makes a last dump of the source and proves it by a restore, takes the fence's and the capture's
    triggers off the target and the capture's off the source, then renames the source's database and lets it take no
    connections. From then on there is no rollback.
  - The second step drops what was retired. It refuses unless the last dump is intact.
  - Refuses unless the run has migrated, its verification is equal, and the source's fence is unbroken since.
  - A source database that others use as well is neither renamed nor closed. Its tables stay behind their closed fence,
    and the second step drops these alone.
  - What the runbook's role may not do is returned as the statements that a superuser executes.
extends_documentation_fragment:
  - storage.consolidation.consolidation
  - storage.consolidation.consolidation.run
  - storage.consolidation.consolidation.drill
options:
  consent:
    description: The sentence that check mode returns.
    type: str
    default: ""
  backup_directory:
    description: Directory of the backups on the runner. The last dump is beside the run's, as C(DATABASE.last).
    type: path
    required: true
  postgresql_bin:
    description: Directory of pg_dump, pg_restore and pg_dumpall on the runner, at least of the newest server's version.
    type: path
    required: true
  maintenance_dbname:
    description: Database of the source's server to connect to while the source is renamed or dropped.
    type: str
    default: postgres
  timeout_seconds:
    description: How long to wait for open transactions on a table.
    type: float
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the dump that would be made, and the statements that would be executed on the source.
    support: full
"""

EXAMPLES = r"""
- name: Archive the source and retire it
  pg_finalize:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
    backup_directory: "{{ consolidation_backup_directory }}"
    postgresql_bin: "{{ consolidation_postgresql_bin }}"
    consent: retire the source of campaign_db as of run 20261128T220000Z
"""

RETURN = r"""
msg:
  description:
    - In check mode what would be done, and the option that agrees.
    - Else what was done, and what a superuser has to do.
  type: str
  returned: always
sentence:
  description: What is to be typed as O(consent) for the next step; empty where nothing is left to do.
  type: str
  returned: always
run_id:
  description: Id of the run.
  type: str
  returned: when something was done
remains:
  description: What is left of the source; C(kind), C(oid), C(dbname), C(suffix) and C(tables).
  type: dict
  returned: when it was retired
archive:
  description: Directory, bytes and seconds of the last dump; its drill is in the journal.
  type: dict
  returned: when one was made
pending:
  description: Statements that a superuser has to execute on the source's server.
  type: list
  elements: str
  returned: when it was retired
dropped:
  description: Statements that were executed.
  type: list
  elements: str
  returned: when it was dropped
sessions:
  description: Who still uses the source.
  type: list
  elements: str
  returned: on the failure for their sake
differences:
  description: What was restored otherwise than dumped.
  type: list
  elements: str
  returned: on the failure of the drill
blockers:
  description: Who was in the way of a lock.
  type: list
  elements: str
  returned: on the failure to lock the tables
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from consolidation.finalize import phase as finalize
from consolidation.model import Database, connection_settings
from consolidation.module import arguments
from consolidation.module.failures import failures


def main() -> None:
    """Plan, and go one step."""
    spec = arguments.phase(
        consent={"type": "str", "default": ""},
        backup_directory={"type": "path", "required": True},
        postgresql_bin={"type": "path", "required": True},
        drill=arguments.connection() | {"required": False},
        maintenance_dbname={"type": "str", "default": "postgres"},
        timeout_seconds={"type": "float", "default": 60},
    )
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        places = (Path(given["backup_directory"]), Path(given["postgresql_bin"]))
        drill = connection_settings(given["drill"]) if given["drill"] else None
        options = finalize.Options(*places, drill, given["maintenance_dbname"], given["timeout_seconds"])
        database = Database.from_options(given["database"], given["run_id"])
        plan = finalize.plan(database, options, given["consent"])
        result = {"msg": plan.msg} if module.check_mode else finalize.apply(plan)
        module.exit_json(changed=plan.changed, diff=plan.diff(), sentence=plan.sentence, **result)


if __name__ == "__main__":
    main()
