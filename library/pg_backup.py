#!/usr/bin/python
"""Dump a service database and prove the dump by a restore."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pg_backup
short_description: Dump a service database and prove the dump
description:
  - Dumps the whole source database (pg_dump, directory format) and the roles of its server under one snapshot, and
    writes a manifest with the rows and content digest of every table and the SHA-256 of every file.
  - Proves the dump by a restore drill into a scratch database, whose content is compared with the manifest and which is
    dropped in every case.
  - A dump appears under its final name, C(DIRECTORY/RUN/DATABASE), only when it is complete and proved.
  - Where this run has an intact dump already (its hashes are checked again), nothing is done.
version_added: "0.1.0"
extends_documentation_fragment:
  - storage.consolidation.consolidation
  - storage.consolidation.consolidation.run
  - storage.consolidation.consolidation.drill
options:
  directory:
    description: Directory on the runner that holds the dumps of all runs. Created with mode 0700 where it is missing.
    type: path
    required: true
  postgresql_bin:
    description: Directory of pg_dump, pg_restore and pg_dumpall on the runner, at least of the newest server's version.
    type: path
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns what is there, and where and how the dump would be made.
    support: full
"""

EXAMPLES = r"""
- name: Dump the database and prove the dump
  pg_backup:
    database: "{{ consolidation_database }}"
    run_id: "{{ consolidation_run_id }}"
    directory: "{{ consolidation_backup_directory }}"
    postgresql_bin: "{{ consolidation_postgresql_bin }}"
"""

RETURN = r"""
msg:
  description: What was done, in one sentence.
  returned: when not in check mode
  type: str
run_id:
  description: The run that the dump belongs to; empty in check mode where no run has begun.
  returned: always
  type: str
directory:
  description: Where the dump is.
  returned: when not in check mode
  type: str
manifest_sha256:
  description: SHA-256 of the manifest, as the journal keeps it.
  returned: when not in check mode
  type: str
snapshot_at:
  description: Every write acknowledged before this moment is in the dump (ISO 8601, UTC).
  returned: when not in check mode
  type: str
lsn:
  description: Position in the source's write-ahead log at about that time; null where the role may not read it.
  returned: when not in check mode
  type: str
server_version:
  description: Version of the source's server.
  returned: when not in check mode
  type: str
tool_version:
  description: Major version of pg_dump.
  returned: when not in check mode
  type: int
database_bytes:
  description: Size of the whole database, before compression.
  returned: when not in check mode
  type: int
dump_bytes:
  description: Size of the dump's files.
  returned: when not in check mode
  type: int
tables:
  description: Name, rows and content digest of every table of the source schema.
  returned: when not in check mode
  type: list
  elements: dict
sequences:
  description: By name C(last_value), C(is_called) and C(increment) of every sequence of the source schema.
  returned: when not in check mode
  type: dict
drill:
  description:
    - Server, database, number of tables and seconds of the restore drill.
    - C(not_restored), the entries of the dump that it could not restore, each with the reason; no table needs them.
  returned: when not in check mode
  type: dict
left_out:
  description: What the dump does not hold, in sentences.
  returned: when not in check mode
  type: list
  elements: str
seconds:
  description: Duration of dump and drill.
  returned: when not in check mode
  type: float
differences:
  description: What was restored otherwise than dumped.
  returned: on the failure of the drill
  type: list
  elements: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from consolidation.backup import phase as backup
from consolidation.model import Database, connection_settings
from consolidation.module import arguments
from consolidation.module.carry_out import carry_out
from consolidation.module.failures import failures


def main() -> None:
    """Plan, and dump."""
    module = AnsibleModule(
        argument_spec=arguments.phase(
            directory={"type": "path", "required": True},
            postgresql_bin={"type": "path", "required": True},
            drill=arguments.connection() | {"required": False},
        ),
        supports_check_mode=True,
    )
    with failures(module):
        options = module.params
        database = Database.from_options(options["database"], options["run_id"])
        drill = connection_settings(options["drill"]) if options["drill"] else None
        plan = backup.plan(database, Path(options["directory"]), Path(options["postgresql_bin"]), drill)
        carry_out(module, plan, lambda: backup.apply(plan), checked={"run_id": plan.run_id})


if __name__ == "__main__":
    main()
