#!/usr/bin/python
"""The documentation of the action plugin ``run_window_info``, and what is said where it is not found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_window_info
short_description: Check that what is to come fits into what is left of the window
version_added: "0.1.0"
description:
  - Estimates from the last rehearsal, or an earlier run, how long the rest of the write outage takes, and fails where
    that is longer than what is left of the maintenance window.
options:
  database:
    description: Name of the service database.
    type: str
    required: true
  size_bytes:
    description: Bytes of its tables as they are now.
    type: int
    required: true
  directory:
    description: Folder of the run directories, with the rehearsals' tickets.
    type: path
    required: true
  window_end:
    description: When the window ends, ISO 8601 with zone.
    type: str
    required: true
  upcoming:
    description: What is to come, the whole V(outage) or the V(cutover).
    type: str
    choices: [outage, cutover]
    required: true
  mode:
    description: What the database asks for. With V(online) it is followed while it is written, so that only its
      change-over is an outage.
    type: str
    choices: [window, online]
    default: window
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Go or no-go
  run_window_info:
    database: campaign_db
    size_bytes: 500000000
    directory: "{{ consolidation_run_directory }}"
    window_end: "2026-11-29T02:00:00+00:00"
    upcoming: outage
"""

RETURN = r"""
go:
  description: Whether it fits; where it does not, the module fails.
  type: bool
  returned: always
needed_seconds:
  description: Estimate of what is to come.
  type: float
  returned: always
left_seconds:
  description: Until the window's end; negative after it.
  type: float
  returned: always
msg:
  description: The same in a sentence, with where the estimate comes from.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.module.control_node import WINDOW, require_plugin


def main() -> None:
    """Reached only without the action plugin."""
    require_plugin(AnsibleModule(argument_spec=WINDOW, supports_check_mode=True), "run_window_info")


if __name__ == "__main__":
    main()
