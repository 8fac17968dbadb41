"""The lookup ``carried_options``: what the operator's next command needs of this one's."""

from __future__ import annotations

from typing import Any

from ansible import context
from ansible.plugins.lookup import LookupBase

from consolidation.console import command

DOCUMENTATION = r"""
name: carried_options
author: The storage consolidation team (@storage-consolidation)
short_description: Give the options of this command that the next one needs, too
version_added: "0.1.0"
description:
  - Who comes in, where passwords come from (vault, SSH, become), files of variables, and variables. Of a variable that
    may be a secret there is only the name, in a form that the shell refuses to run until it is set.
  - Not what chooses hosts or phases, no confirmation, and no sentence of a consent.
"""

EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ lookup('carried_options', wantlist=true) | join(' ') }}"
"""

RETURN = r"""
_list:
  description: Options with their values, quoted for a shell.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:  # noqa: ARG002 - Ansible's
        """Read them off the command line."""
        return command.carried(context.CLIARGS)
