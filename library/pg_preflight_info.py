#!/usr/bin/python
"""Ansible's view of the preflight: see consolidation.preflight."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_preflight_info
short_description: Find what would stop or spoil the migration of a service database
version_added: "0.1.0"
description:
  - Checks servers, roles, client programs, the source schema against the lineage, and the source's rows.
  - Changes nothing; every query runs in a read-only transaction. All findings are collected before the module fails.
  - A check that cannot be made is a finding itself, of severity blocker.
  - The ids of the findings are stable; see docs/preflight.md.
extends_documentation_fragment: [storage.consolidation.consolidation, storage.consolidation.consolidation.drill]
options:
  backup_directory:
    description: Directory on the runner that the backup phase writes to.
    type: path
    required: true
  postgresql_bin:
    description: Directory on the runner with C(pg_dump), C(pg_restore) and C(pg_dumpall).
    type: path
    required: true
  source_reader:
    description:
      - Read-only role to connect to the source as, instead of the runbook's role.
      - The privileges that are checked are still those of the runbook's role.
    type: dict
    suboptions: &reader
      user:
        description: Role to connect as.
        type: str
        required: true
      passfile:
        description: libpq password file on the runner, mode 0600; without it that of the connection.
        type: path
      sslcert:
        description: Client certificate; without it that of the connection.
        type: path
      sslkey:
        description: Key of the client certificate; without it that of the connection.
        type: path
  target_reader:
    description: The same for the target.
    type: dict
    suboptions: *reader
  accepted:
    description:
      - Blockers that the operator has decided about, each as C(ID SUBJECT); they become warnings.
      - Only kinds that docs/preflight.md marks can be accepted, objects of the source that stay behind for example.
    type: list
    elements: str
    default: []
  resume:
    description: Examine nothing where the run is behind its closed fence, what ends the write outage comes first.
    type: bool
    default: false
  backup:
    description: Whether the command that looks has a backup phase; else a finding says what that means.
    type: bool
    default: true
  fail_on_blocker:
    description: Whether the module fails when there is a blocker. The findings are returned in any case.
    type: bool
    default: true
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
"""

EXAMPLES = r"""
- name: Collect blockers as a read-only role, days before the window
  pg_preflight_info:
    database: "{{ consolidation_database }}"
    backup_directory: "{{ consolidation_backup_directory }}"
    postgresql_bin: "{{ consolidation_postgresql_bin }}"
    source_reader:
      user: consolidation_reader
      passfile: /etc/consolidation/reader.pgpass
"""

RETURN = r"""
findings:
  description: What was found, blockers first, each with C(id), C(severity), C(subject), C(what) and C(fix).
  returned: always
  type: list
  elements: dict
summary:
  description: Number of findings of each severity, and C(blocker_ids).
  returned: always
  type: dict
  sample: {blocker: 0, warning: 1, info: 6, blocker_ids: []}
table:
  description: The findings for people.
  returned: always
  type: str
tables:
  description: What a run will move, per table C(name), C(rows) (the server's estimate) and C(bytes).
  returned: always
  type: list
  elements: dict
writers:
  description: Which side takes writes right now, in words; empty where nothing stops the run.
  returned: always
  type: str
database:
  description: Name of the database.
  returned: always
  type: str
msg:
  description: Whether blockers were found, and which.
  returned: always
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from consolidation.fence import sides
from consolidation.model import Database, connection_settings
from consolidation.module import arguments
from consolidation.module.failures import failures
from consolidation.preflight import phase as preflight

READER = {
    "type": "dict",
    "options": {
        "user": {"type": "str", "required": True},
        "passfile": {"type": "path"},
        "sslcert": {"type": "path"},
        "sslkey": {"type": "path"},
    },
}
OPTIONS = {
    "backup_directory": {"type": "path", "required": True},
    "postgresql_bin": {"type": "path", "required": True},
    "source_reader": READER,
    "target_reader": READER,
    "accepted": {"type": "list", "elements": "str", "default": []},
    "resume": {"type": "bool", "default": False},
    "backup": {"type": "bool", "default": True},
    "drill": arguments.connection() | {"required": False},
    "fail_on_blocker": {"type": "bool", "default": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=arguments.database(**OPTIONS), supports_check_mode=True)
    given = module.params
    with failures(module):
        options = preflight.Options(
            Path(given["backup_directory"]),
            Path(given["postgresql_bin"]),
            preflight.Reader.from_options(given["source_reader"]),
            preflight.Reader.from_options(given["target_reader"]),
            tuple(given["accepted"]),
            given["resume"],
            backup=given["backup"],
            drill=connection_settings(given["drill"]) if given["drill"] else None,
        )
        database = Database.from_options(given["database"])
        report = preflight.examine(database, options)
        result = {**report.as_result(), "writers": sides.writers(database) if report.blockers else ""}
        if report.blockers and given["fail_on_blocker"]:
            module.fail_json(**result)
        module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
