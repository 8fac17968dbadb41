#!/usr/bin/python
"""The Ansible module ``service_files``. It runs on an application host, where our packages are not installed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_files
short_description: Write and remove files of an application host, each whole or not at all
version_added: "0.1.0"
description:
  - The hand of M(storage.consolidation.service_config) on the host.
  - A file that is there keeps owner, group and mode; a new one takes those of O(files[].like). A link is followed.
options:
  files:
    description: The files.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      content:
        description: What it is to hold, base64.
        type: str
        required: true
      like:
        description: The file whose owner, group and mode a new one takes.
        type: path
        required: true
  links:
    description: Links; what is there is replaced, unless it is a folder.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The link.
        type: path
        required: true
      to:
        description: What it is to point to, as it is given here.
        type: str
        required: true
  absent:
    description: Files and links to remove.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: The module changes nothing in check mode, and says whether it would.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Stage a configuration
  service_files:
    files:
      - path: /etc/campaign/config.yml.after-20260101T020000Z
        content: "{{ new | b64encode }}"
        like: /etc/campaign/config.yml
  no_log: true

- name: Remove what was staged
  service_files:
    absent: [/etc/campaign/config.yml.after-20260101T020000Z]
"""

RETURN = r"""
written:
  description: Files and links that were written; those that are so already are not.
  type: list
  elements: str
  returned: always
removed:
  description: Files and links that were removed.
  type: list
  elements: str
  returned: always
"""

import os
from base64 import b64decode
from pathlib import Path
from stat import S_IMODE

from ansible.module_utils.basic import AnsibleModule

FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True, "no_log": True},
    "like": {"type": "path", "required": True},
}
LINK = {"path": {"type": "path", "required": True}, "to": {"type": "str", "required": True}}
SPEC = {
    "files": {"type": "list", "elements": "dict", "default": [], "options": FILE},
    "links": {"type": "list", "elements": "dict", "default": [], "options": LINK},
    "absent": {"type": "list", "elements": "path", "default": []},
}


def main() -> None:
    """Write what differs."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    written: list[str] = []
    removed: list[str] = []
    try:
        for given in module.params["files"]:
            path, content = Path(given["path"]).resolve(), b64decode(given["content"])
            if not path.exists() or path.read_bytes() != content:
                written.append(given["path"])
                if not module.check_mode:
                    write(module, path, content, Path(given["like"]))
        for given in module.params["links"]:
            path = Path(given["path"])
            if not path.is_symlink() or str(path.readlink()) != given["to"]:
                written.append(given["path"])
                if not module.check_mode:
                    link(path, given["to"])
        for path in map(Path, module.params["absent"]):
            if path.is_symlink() or path.exists():
                removed.append(str(path))
                if not module.check_mode:
                    path.unlink()
    except OSError as error:
        what = f"{error.filename} cannot be changed: {error.strerror}"
        module.fail_json(msg=what, written=written, removed=removed)
    module.exit_json(changed=bool(written or removed), written=written, removed=removed)


def link(path: Path, to: str) -> None:
    """As a file: who follows it meanwhile comes to the one or the other."""
    beside = path.with_name(f".write-{path.name}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(to)
    beside.replace(path)


def write(module: AnsibleModule, path: Path, content: bytes, like: Path) -> None:
    """Beside it, then renamed: who reads the file meanwhile reads the one or the other."""
    beside = path.with_name(f".write-{path.name}")  # what a killed run has left there is replaced
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        module.atomic_move(str(beside), str(path))  # it takes over owner, group and mode
        return
    status = like.stat()
    os.chown(beside, status.st_uid, status.st_gid)
    beside.chmod(S_IMODE(status.st_mode))
    beside.replace(path)


if __name__ == "__main__":
    main()
