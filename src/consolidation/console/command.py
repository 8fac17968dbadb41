"""The operator's command line, as it can be shown and typed again."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROMPTS = {"ask_vault_pass": "--ask-vault-pass", "ask_pass": "--ask-pass", "become_ask_pass": "--ask-become-pass"}
FILES = {"vault_ids": "--vault-id", "vault_password_files": "--vault-password-file"}
CONFIRMATION = "consolidation_confirm="


def carried(given: Mapping[str, Any]) -> list[str]:
    """Where passwords come from, and files of variables. No other variable: one may be a secret."""
    found = [option for name, option in PROMPTS.items() if given.get(name)]
    found += [f"{option} {shlex.quote(value)}" for name, option in FILES.items() for value in given.get(name) or ()]
    return found + [f"-e {shlex.quote(value)}" for value in given.get("extra_vars") or () if value.startswith("@")]


def again(playbook: str, given: Mapping[str, Any], directory: Path) -> str:
    """The command line, as it was given in that directory; a variable that may be a secret is only named."""
    extra = [str(value) for value in given.get("extra_vars") or () if not str(value).startswith("@")]
    words = [located("ansible-playbook", directory), shlex.quote(_short(playbook, directory))]
    words += [f"-i {shlex.quote(_short(str(source), directory))}" for source in given.get("inventory") or ()]
    words += carried(given)
    if given.get("subset"):
        words.append(f"--limit {shlex.quote(given['subset'])}")
    words += [f"--tags {shlex.quote(tag)}" for tag in given.get("tags") or () if tag != "all"]
    words += [f"--skip-tags {shlex.quote(tag)}" for tag in given.get("skip_tags") or ()]
    for value in extra:
        name = value.partition("=")[0]
        if value.startswith(CONFIRMATION):
            words.append(f"-e {shlex.quote(value)}")
        else:
            words.append(f"-e {shlex.quote(name)}=..." if "=" in value and name.isidentifier() else "-e ...")
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
