#!/usr/bin/python
"""The Ansible module ``runner_info``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runner_info
short_description: Check which state of the runbook's packages is installed
version_added: "0.1.0"
description:
  - Where it runs on a runner and on the control node, equal answers mean that the runner has what this checkout has.
options:
  wanted:
    description:
      - Digest of the checkout's packages, as the lookup C(checkout_fingerprint) has it.
      - The module fails where the runner has others.
    type: str
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Check that the runner has what this checkout has
  runner_info:
    wanted: "{{ lookup('checkout_fingerprint') }}"
"""

RETURN = r"""
fingerprint:
  description: Digest of the installed packages; empty where they are older than this module.
  returned: always
  type: str
  sample: 0f2c9a7be1d34456
"""

from socket import gethostname

from ansible.module_utils.basic import AnsibleModule

try:
    from consolidation.installation import fingerprint
except ImportError:  # the very case that the caller wants to know of
    fingerprint = None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"wanted": {"type": "str"}}, supports_check_mode=True)
    found = fingerprint() if fingerprint else ""
    if module.params["wanted"] not in (None, found):
        module.fail_json(
            msg=f"the runner {gethostname()} has other packages than this checkout. Nothing was changed. Run"
            " `ansible-playbook playbooks/runner.yml` with the same inventory, then this command again.",
            fingerprint=found,
        )
    module.exit_json(changed=False, fingerprint=found)


if __name__ == "__main__":
    main()
