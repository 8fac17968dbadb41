"""The lookup ``checkout_fingerprint``: which state of the runbook's packages the control node has."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase

from consolidation.installation import fingerprint

DOCUMENTATION = r"""
name: checkout_fingerprint
author: The storage consolidation team (@storage-consolidation)
short_description: Say which state of the runbook's packages the control node has
version_added: "0.1.0"
description:
  - The counterpart of the module C(runner_info), which says the same of a runner.
"""

EXAMPLES = r"""
- name: Show what this checkout is
  ansible.builtin.debug:
    msg: "{{ lookup('checkout_fingerprint') }}"
"""

RETURN = r"""
_list:
  description: One digest of the installed packages.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:  # noqa: ARG002 - Ansible's
        """Compute it."""
        return [fingerprint()]
