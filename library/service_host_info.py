#!/usr/bin/python
"""The Ansible module ``service_host_info``. It runs on an application host, where our packages are not installed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_host_info
short_description: Read files of an application host and its service's health
version_added: "0.1.0"
description:
  - One task instead of one for each file. With O(read) it wants C(no_log), which hides why a host cannot be reached as
    well; so look first without.
options:
  files:
    description: Paths to look at.
    type: list
    elements: path
    default: []
  read:
    description: Paths to look at and to read.
    type: list
    elements: path
    default: []
  health_url:
    description: Address to ask; nothing is asked without it.
    type: str
  timeout_seconds:
    description: How long the answer may take, in seconds.
    type: int
    default: 10
attributes:
  check_mode:
    description: The module changes nothing in any mode.
    support: full
author:
  - The storage consolidation team (@storage-consolidation)
"""

EXAMPLES = r"""
- name: Read the service's state
  service_host_info:
    files: [/opt/campaign/current, /etc/campaign/config.yml]
    health_url: http://127.0.0.1:8080/health

- name: Read its configuration
  service_host_info:
    read: [/etc/campaign/config.yml]
  no_log: true
"""

RETURN = r"""
files:
  description:
    - Every path with C(exists), C(readable), C(writable) and C(link), what it points to, empty unless it is a link; of
      what exists also C(uid), C(gid) and C(mode); of a file that was read also C(content), base64.
  returned: always
  type: dict
health:
  description: C(status), -1 for no answer, and C(json), what was answered.
  returned: always
  type: dict
"""

import base64
import json
import os
from http.client import HTTPException
from pathlib import Path
from stat import S_IMODE
from typing import Any
from urllib.error import HTTPError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import ConnectionError, open_url

SPEC = {
    "files": {"type": "list", "elements": "path", "default": []},
    "read": {"type": "list", "elements": "path", "default": []},
    "health_url": {"type": "str"},
    "timeout_seconds": {"type": "int", "default": 10},
}
NO_ANSWER = {"status": -1, "json": {}}


def main() -> None:
    """Look."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    given = module.params
    files = {path: look(Path(path), to_read=path in given["read"]) for path in [*given["files"], *given["read"]]}
    health = ask(given["health_url"], given["timeout_seconds"]) if given["health_url"] else NO_ANSWER
    module.exit_json(changed=False, files=files, health=health)


def look(path: Path, *, to_read: bool) -> dict[str, Any]:
    """What there is at a path."""
    link = str(path.readlink()) if path.is_symlink() else ""
    allowed = {"readable": os.access(path, os.R_OK), "writable": os.access(path, os.W_OK)}
    found = {"exists": path.exists(), "link": link, **allowed}
    if path.exists():
        status = path.stat()
        found.update(uid=status.st_uid, gid=status.st_gid, mode=f"{S_IMODE(status.st_mode):04o}")
    if to_read and path.is_file() and allowed["readable"]:
        found["content"] = base64.b64encode(path.read_bytes()).decode()
    return found


def ask(url: str, timeout: int) -> dict[str, Any]:
    """What the service answers, whatever it is."""
    try:
        answer = open_url(url, timeout=timeout, use_proxy=False)
    except HTTPError as error:
        answer = error
    except (OSError, HTTPException, ConnectionError, ValueError):
        return NO_ANSWER
    try:
        said = json.loads(answer.read())
    except (OSError, ValueError):
        said = {}
    return {"status": answer.code, "json": said if isinstance(said, dict) else {}}


if __name__ == "__main__":
    main()
