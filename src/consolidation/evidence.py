"""The run directory on the control node: private files, written whole or not at all, and the index of their digests."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from consolidation.errors import ConfigurationError

INDEX = "SHA256SUMS"
ANSIBLE_KEYS = frozenset({"changed", "diff", "failed", "invocation", "warnings", "deprecations"})


def make(directory: Path) -> None:
    """mkdir -p, where every folder that is made gets mode 0700 (``parents=True`` would ignore the mode)."""
    if not directory.is_dir():
        make(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def write(path: Path, content: str) -> None:
    """Write a file (0600) in one step; makes missing folders (0700). Raises ConfigurationError."""
    temporary = None
    try:
        make(path.parent)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # created with mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}",
            hint="check consolidation_run_directory: space, owner and permissions on the control node",
        ) from error


def read(path: Path) -> str | None:
    """The text of a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def evidence_path(directory: str, run_id: str, database: str, phase: str) -> Path:
    """Where a phase's result is kept."""
    return Path(directory) / run_id / database / f"{phase}.json"


def evidence(result: dict[str, Any]) -> str:
    """A registered result as the text of its file, without Ansible's own keys."""
    kept = {key: value for key, value in result.items() if key not in ANSIBLE_KEYS}
    return json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def index(directory: Path) -> None:
    """Write SHA256SUMS over all files of a run directory; ``sha256sum --check SHA256SUMS`` reads it."""
    lines = []
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if path.is_file() and relative.name != INDEX and not relative.name.startswith("."):
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {relative}\n")
    write(directory / INDEX, "".join(lines))
