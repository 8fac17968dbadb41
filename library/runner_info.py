#!/usr/bin/python
"""The Ansible module ``runner_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runner_info
short_description: Say which state of the runbook's packages is installed
version_added: "0.1.0"
description:
  - Where it runs on a runner and on the control node, equal answers mean that the runner has what this checkout has.
options: {}
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Ask the runner
  runner_info:
  register: runner_installed
"""

RETURN = r"""
fingerprint:
  description: Digest of the installed packages; empty where they are older than this module.
  returned: always
  type: str
  sample: 0f2c9a7be1d34456
"""

from ansible.module_utils.basic import AnsibleModule

try:
    from consolidation.installation import fingerprint
except ImportError:  # the very case that the caller wants to know of
    fingerprint = None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, fingerprint=fingerprint() if fingerprint else "")


if __name__ == "__main__":
    main()
