#!/usr/bin/python
"""The documentation of the action plugin ``run_report``, and what is said where it is not found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_report
short_description: Write the report of a run
version_added: "0.1.0"
description:
  - Writes C(report.json), C(report.html) and C(SHA256SUMS) into the run directory.
  - The same journal and evidence give the same files, so that a second report changes nothing.
options:
  journal:
    description: What C(run_journal_info) returned. It covers every database of the run.
    type: dict
    required: true
  directory:
    description: Folder of the run directories on the host that runs the module.
    type: path
    required: true
  databases:
    description: Names of all databases of the inventory. Commands for fewer end with C(--limit).
    type: list
    elements: str
    required: true
  migrate_command:
    description: The command line that begins or resumes the migration, as the operator types it.
    type: str
    required: true
  rollback_command:
    description: The command line that rolls the run back, as the operator types it.
    type: str
    required: true
  finalize_command:
    description: The command line that ends a finalization that was begun, but for its sentence.
    type: str
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns the names of the files that would be written.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Write the report
  run_report:
    journal: "{{ report_journal }}"
    directory: "{{ consolidation_run_directory }}"
    databases: "{{ groups['databases'] }}"
    migrate_command: ansible-playbook migrate.yml -i inventories/production -e consolidation_confirm=yes
    rollback_command: ansible-playbook rollback.yml -i inventories/production -e consolidation_confirm=yes
    finalize_command: ansible-playbook finalize.yml -i inventories/production
"""

RETURN = r"""
report:
  description:
    - run_id, outcome, verdict, path and outages (by database).
    - next and rollbacks, lists of commands, each with its databases, text and until when it is available.
    - Empty without a run.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.module.control_node import REPORT, require_plugin


def main() -> None:
    """Reached only without the action plugin."""
    require_plugin(AnsibleModule(argument_spec=REPORT, supports_check_mode=True), "run_report")


if __name__ == "__main__":
    main()
