#!/usr/bin/python
"""The documentation of the action plugin ``run_evidence``, and what is said where it is not found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_evidence
short_description: Keep a phase's result as a file of the run directory
version_added: "0.1.0"
description:
  - Writes C(DIRECTORY/RUN_ID/DATABASE/PHASE.json), mode 0600 in folders of mode 0700, whole or not at all.
options:
  directory:
    description: Folder of the run directories on the host that runs the module.
    type: path
    required: true
  run_id:
    description: Id of the run.
    type: str
    required: true
  database:
    description: Name of the service database.
    type: str
    required: true
  phase:
    description: Name of the phase.
    type: str
    required: true
  content:
    description: The registered result of the phase's module; Ansible's own keys are left out.
    type: dict
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Keep the evidence of the copy
  run_evidence:
    directory: "{{ consolidation_run_directory }}"
    run_id: "{{ copy_result.run_id }}"
    database: "{{ consolidation_database.name }}"
    phase: copy
    content: "{{ copy_result }}"
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.module.control_node import KEEP, require_plugin


def main() -> None:
    """Reached only without the action plugin."""
    require_plugin(AnsibleModule(argument_spec=KEEP, supports_check_mode=True), "run_evidence")


if __name__ == "__main__":
    main()
