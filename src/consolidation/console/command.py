"""The operator's command line, as it can be shown and typed again.

A variable given with -e may be a secret: its value is shown where it is one of the runbook's own plain options. Of any
other only the name is, in a form that the shell refuses to run until the operator has set it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from consolidation.console.options import FOR_ONE_COMMAND, PLAIN

FLAGS = {
    "ask_vault_pass": "--ask-vault-pass",
    "ask_pass": "--ask-pass",
    "become": "--become",
    "become_ask_pass": "--ask-become-pass",
}
VALUES = {
    "remote_user": "--user",
    "private_key_file": "--private-key",
    "become_user": "--become-user",
    "connection_password_file": "--connection-password-file",
    "become_password_file": "--become-password-file",
    "vault_ids": "--vault-id",
    "vault_password_files": "--vault-password-file",
}
"""Who comes in, and files that hold a secret: never the secret itself."""
CONFIRMATION = "consolidation_confirm"


def carried(given: Mapping[str, Any]) -> list[str]:
    """What the next command needs of this one's options: who comes in, where passwords come from, and variables."""
    found = [option for name, option in FLAGS.items() if given.get(name)]
    for name, option in VALUES.items():
        values = given.get(name) or ()
        found += [f"{option} {shlex.quote(value)}" for value in ([values] if isinstance(values, str) else values)]
    return found + [f"-e {word}" for text in given.get("extra_vars") or () for word in _variables(str(text))]


def again(playbook: str, given: Mapping[str, Any], directory: Path, *, phases: bool = True) -> str:
    """The command line, as it was given in that directory; ``phases``: also which of them, for the same playbook."""
    words = [located("ansible-playbook", directory), shlex.quote(_short(playbook, directory))]
    words += [f"-i {shlex.quote(_short(str(source), directory))}" for source in given.get("inventory") or ()]
    words += carried(given)
    if given.get("subset"):
        words.append(f"--limit {shlex.quote(given['subset'])}")
    for option, name in (("--tags", "tags"), ("--skip-tags", "skip_tags")):
        words += [f"{option} {shlex.quote(tag)}" for tag in given.get(name) or () if phases and tag != "all"]
    confirmed = [(_parsed(str(text)) or {}).get(CONFIRMATION) for text in given.get("extra_vars") or ()]
    words += [f"-e {CONFIRMATION}={shlex.quote(str(value))}" for value in confirmed if value is not None][-1:]
    words += [option for name, option in (("check", "--check"), ("diff", "--diff")) if given.get(name)]
    return " ".join(words)


def typed(command: str, directory: Path) -> str:
    """The command line as it runs in the operator's shell: paths below the directory are relative to it."""
    program, _, rest = command.partition(" ")
    rest = rest.replace(f"-i {directory}/", "-i ")
    return f"{located(program, directory)} {rest}".rstrip()


def located(program: str, directory: Path) -> str:
    """A program of this installation; with its path where the shell would not find it."""
    ours = Path(sys.executable).parent / program
    found = shutil.which(program)
    return program if found and Path(found).resolve() == ours.resolve() else shlex.quote(_short(str(ours), directory))


def _short(path: str, directory: Path) -> str:
    """Relative where it is below the directory."""
    found = Path(path)
    return str(found.relative_to(directory)) if found.is_absolute() and found.is_relative_to(directory) else path


def _variables(text: str) -> Iterator[str]:
    """What follows -e, a word for each variable."""
    if text.startswith("@"):
        yield shlex.quote(text)
        return
    found = _parsed(text)
    if found is None:
        yield '"${VARIABLES:?give them again}"'
    for name, value in (found or {}).items():
        if name in FOR_ONE_COMMAND:
            continue
        if name not in PLAIN:
            yield _asked(name, value)
        elif isinstance(value, str) and shlex.quote(value) == value:
            yield f"{name}={value}"
        else:
            yield shlex.quote(json.dumps({name: value}, ensure_ascii=False, default=str))


def _asked(name: str, value: Any) -> str:
    """A variable that may be a secret: the shell does not run the command before it is set."""
    variable = name if name.isidentifier() else "VARIABLE"
    if isinstance(value, str):
        return f'{shlex.quote(name)}="${{{variable}:?give it again}}"'
    return f'"${{{variable}:?give it again, as JSON}}"'


def _parsed(text: str) -> dict[str, Any] | None:
    """The variables of one -e, as Ansible reads it; None where it cannot be read."""
    try:
        if text.startswith(("{", "[")):
            found = YAML(typ="safe", pure=True).load(text)
            return {str(name): value for name, value in found.items()} if isinstance(found, dict) else None
        pairs = [word.partition("=") for word in shlex.split(text)]
    except (YAMLError, ValueError):
        return None
    return {name: value for name, equals, value in pairs if equals}
