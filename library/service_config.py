#!/usr/bin/python
"""The documentation of the action plugin ``service_config``, and what is said where it is not found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_config
short_description: Read, plan and write the change of a service's configuration file
version_added: "0.1.0"
description:
  - Changes one section and leaves every other byte alone. The file is read on its host, the change is planned on the
    control node, and what is to be written is written on the host, which needs nothing but Python.
  - The content may hold secrets; it is in no result, in no log and in no diff.
options:
  path:
    description: The configuration file on its host.
    type: path
    required: true
  state:
    description:
      - V(staged) lets C(database) point at the Storage Service, not in the file itself but in O(after); O(before) keeps
        the file as it is. What switches them is M(storage.consolidation.service_switch).
      - V(previous) takes that back, in the file itself; edits made since stay.
      - V(served) gives the Storage Service's own file the O(entries) below C(storage.databases), in O(after) as well.
    type: str
    required: true
    choices: [staged, previous, served]
  schema:
    description: Name of the database at the Storage Service.
    type: str
  before:
    description: The file beside it that keeps the configuration as it was before the cutover.
    type: path
    required: true
  after:
    description: The file beside it with the configuration for after the cutover.
    type: path
    required: true
  entries:
    description: Entries of the Storage Service's file by database, each with C(schema), C(migrations) and C(backup).
    type: dict
  evidence:
    description: Where the plan is kept on the control node, as for M(storage.consolidation.run_evidence).
    type: dict
    suboptions:
      directory:
        description: Folder of the run directories.
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
        description: Name of the file.
        type: str
        required: true
attributes:
  check_mode:
    description: Writes nothing; the diff is of the same plan.
    support: full
  diff_mode:
    description: Returns the section before and after, redacted.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Stage the configuration for after the cutover
  service_config:
    path: /etc/campaign/config.yml
    before: /etc/campaign/config.yml.before-20260101T020000Z
    after: /etc/campaign/config.yml.after-20260101T020000Z
    state: staged
    schema: campaign_db
  delegate_to: campaign-1
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
written:
  description: Files that were written, or would be.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from consolidation.module.control_node import CONFIG, CONFIG_NEEDS, require_plugin


def main() -> None:
    """Reached only without the action plugin."""
    require_plugin(AnsibleModule(argument_spec=CONFIG, supports_check_mode=True, **CONFIG_NEEDS), "service_config")


if __name__ == "__main__":
    main()
