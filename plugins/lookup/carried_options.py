"""The lookup ``carried_options``: what the operator's next command needs of this one's."""

from __future__ import annotations

import shlex
from typing import Any

from ansible import context
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: carried_options
author: The storage consolidation team (@storage-consolidation)
short_description: Give the options of this command that the next one needs, too
version_added: "0.1.0"
description:
  - Where passwords come from (vault, SSH, become), and files of variables. No other variable is carried over, for one
    may be a secret, nor what chooses hosts or phases.
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

PROMPTS = {"ask_vault_pass": "--ask-vault-pass", "ask_pass": "--ask-pass", "become_ask_pass": "--ask-become-pass"}
FILES = {"vault_ids": "--vault-id", "vault_password_files": "--vault-password-file"}


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:  # noqa: ARG002 - Ansible's
        """Read them off the command line."""
        given = context.CLIARGS
        found = [option for name, option in PROMPTS.items() if given.get(name)]
        found += [f"{option} {shlex.quote(value)}" for name, option in FILES.items() for value in given.get(name) or ()]
        extra = given.get("extra_vars") or ()
        return found + [f"-e {shlex.quote(value)}" for value in extra if value.startswith("@")]
