"""The lookup ``control_process``: which ansible-playbook process is active, and whether another one still is."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import psutil
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: control_process
author: The storage consolidation team (@storage-consolidation)
short_description: Identify an ansible-playbook process of this control node
version_added: "0.1.0"
description:
  - Without a term, identifies the ansible-playbook process that runs this lookup.
  - With a process id, identifies that process; an empty dict where there is none.
options:
  _terms:
    description: At most one process id.
    type: list
    elements: int
"""

EXAMPLES = r"""
- name: Show who is active
  ansible.builtin.debug:
    msg: "{{ lookup('control_process') }}"
"""

RETURN = r"""
_list:
  description: One dict with C(host), C(pid) and C(started), a number that no later process of the same id shares.
  type: list
  elements: dict
"""


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms: list[int], variables: Any = None, **kwargs: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - Ansible's
        """Find the process."""
        if terms:
            return [_identity(psutil.Process(int(terms[0]))) if psutil.pid_exists(int(terms[0])) else {}]
        return [_identity(_main_process())]


def _main_process() -> psutil.Process:
    """The ansible-playbook above this one: lookups run in forks of it, which show its command line.

    Another ansible-playbook may have started it: that one is at something else.
    """
    found = psutil.Process()
    words = found.cmdline()
    while (parent := found.parent()) is not None and parent.cmdline() == words:
        found = parent
    return found


def _identity(process: psutil.Process) -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": process.pid, "started": _started(process)}


def _started(process: psutil.Process) -> str:
    """Which process of that id it is: ticks since the boot, which do not move when the clock is set."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        ticks = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:  # not Linux
        return f"{process.create_time():.2f}"
    return f"{boot} {ticks}"
