#!/usr/bin/python
"""The Ansible module ``service_config``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_config
short_description: Compute the new content of a service's configuration file
version_added: "0.1.0"
description:
  - Changes one section and leaves every other byte alone. The content comes in as an option, goes out as a
    result, and the role reads and writes the file, so that the application hosts need nothing but Python.
  - The content may hold secrets. Show the plan with C(check_mode=true), where only a redacted diff is returned, and
    hide the task that returns the content with C(no_log).
options:
  path:
    description: Path of the file on its host; for messages.
    type: str
    required: true
  content:
    description: The file's content, base64.
    type: str
    required: true
  state:
    description:
      - V(storage_service) lets C(database) point at the storage service.
      - V(previous) undoes that.
      - V(served) gives the storage service's own file the C(entries) below C(storage.databases).
    type: str
    required: true
    choices: [storage_service, previous, served]
  schema:
    description: Name of the database at the storage service.
    type: str
  previous:
    description: The file's content before the cutover, base64.
    type: str
  written:
    description: The file's content as the cutover wrote it, base64.
    type: str
  entries:
    description: Entries of the storage service's file by database, each with C(schema), C(migrations) and C(backup).
    type: dict
attributes:
  check_mode:
    description: Returns everything but the new content.
    support: full
  diff_mode:
    description: Returns the section before and after, redacted.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Show what becomes of the configuration
  service_config:
    path: /etc/campaign/config.yml
    content: "{{ services_file.content }}"
    state: storage_service
    schema: campaign_db
  check_mode: true
"""

RETURN = r"""
msg:
  description: What becomes of the file, in a sentence.
  type: str
  returned: always
path:
  description: The file, O(path).
  type: str
  returned: always
section_before:
  description: The section before, a line for each value; only harmless values are shown.
  type: list
  elements: str
  returned: always
section_after:
  description: The section after.
  type: list
  elements: str
  returned: always
sha256_before:
  description: Digest of the whole file before.
  type: str
  returned: always
sha256_after:
  description: Digest of the whole file after.
  type: str
  returned: always
edited:
  description: The new content, as text. It may hold secrets.
  type: str
  returned: when not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.module.failures import failures
from consolidation.services import config as service_config

SPEC = {
    "path": {"type": "str", "required": True},
    "content": {"type": "str", "required": True, "no_log": True},
    "state": {"type": "str", "required": True, "choices": ["storage_service", "previous", "served"]},
    "schema": {"type": "str"},
    "previous": {"type": "str", "no_log": True},
    "written": {"type": "str", "no_log": True},
    "entries": {"type": "dict"},
}
NEEDS = [
    ("state", "storage_service", ["schema"]),
    ("state", "previous", ["previous", "written"]),
    ("state", "served", ["entries"]),
]


def main() -> None:
    """Compute."""
    module = AnsibleModule(argument_spec=SPEC, required_if=NEEDS, supports_check_mode=True)
    with failures(module):
        plan = service_config.plan(module.params)
        edited = {} if module.check_mode else {"edited": plan.after.decode()}
        module.exit_json(changed=plan.changed, diff=plan.diff(), **plan.as_result(), **edited)


if __name__ == "__main__":
    main()
