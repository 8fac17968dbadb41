#!/usr/bin/python
"""The Ansible module ``run_evidence``."""

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
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation import evidence as run_directory
from consolidation.module.failures import failures


def main() -> None:
    """Compare, and write what differs."""
    words = {name: {"type": "str", "required": True} for name in ("run_id", "database", "phase")}
    spec = {
        "directory": {"type": "path", "required": True},
        "content": {"type": "dict", "required": True},
        **words,
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    with failures(module):
        given = module.params
        path = run_directory.evidence_path(*(given[name] for name in ("directory", "run_id", "database", "phase")))
        text = run_directory.evidence(given["content"])
        changed = run_directory.read(path) != text
        if changed and not module.check_mode:
            run_directory.write(path, text)
        module.exit_json(changed=changed, path=str(path))


if __name__ == "__main__":
    main()
