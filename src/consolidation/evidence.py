"""The run directory on the control node: private files, written whole or not at all, and the index of their digests.

The evidence of a run that has ended is closed: what comes later (a rollback days after, a further call) is written into
a directory beside it, RUN_ID.2, RUN_ID.3 and so on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consolidation import files
from consolidation.borders import Json
from consolidation.errors import ConfigurationError

INDEX = "SHA256SUMS"
EVENTS = "events.jsonl"
"""One JSON object a line: commands given, failures, rollbacks begun (``at``, ``event`` and more). No row data."""
COMMAND, FAILED, ROLLING_BACK = "command", "failed", "rolling back"
ANSIBLE_KEYS = frozenset({"changed", "diff", "failed", "invocation", "warnings", "deprecations"})
CLOSED_MODE = 0o400
"""Of the index, once the evidence is closed."""


def write(path: Path, content: str) -> None:
    """Write a file (0600) in one step; makes missing folders (0700). Raises ConfigurationError."""
    try:
        files.make(path.parent)
        files.write(path, content)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}",
            hint="check consolidation_run_directory: space, owner and permissions on the control node",
        ) from error


def append(path: Path, text: str) -> None:
    """Add to a file (0600), which is made where there is none. Raises OSError."""
    files.make(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(text)


def read(path: Path) -> str | None:
    """The text of a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def directories(base: str | Path, run_id: str) -> list[Path]:
    """The directories that a run has so far, the oldest first."""
    return list(_existing(Path(base), run_id))


def directory_of(base: str | Path, run_id: str) -> Path:
    """Where a run's evidence is written now: its first directory that is not closed."""
    found = directories(base, run_id)
    if found and not is_closed(found[-1]):
        return found[-1]
    return _numbered(Path(base), run_id, len(found) + 1)


def is_closed(directory: Path) -> bool:
    """Whether the evidence is complete, and no more is added to it."""
    try:
        return (directory / INDEX).stat().st_mode & 0o777 == CLOSED_MODE
    except OSError:
        return False


def events(base: str | Path, run_id: str) -> list[Json]:
    """The run's events, in their order; a line that a crash has cut off is left out."""
    found = []
    for directory in _existing(Path(base), run_id):
        for line in (read(directory / EVENTS) or "").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def evidence_path(directory: str, run_id: str, database: str, phase: str) -> Path:
    """Where a phase's result is kept."""
    return directory_of(directory, run_id) / database / f"{phase}.json"


def evidence(result: Mapping[str, Any]) -> str:
    """A registered result as the text of its file, without Ansible's own keys."""
    kept = {key: value for key, value in result.items() if key not in ANSIBLE_KEYS}
    return json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def index(directory: Path, *, close: bool = False) -> str:
    """Write SHA256SUMS over all files of a run directory, which ``sha256sum --check SHA256SUMS`` reads; its own digest.

    close: nothing is added to the directory from now on.
    """
    text = "".join(f"{digest}  {name}\n" for name, digest in _digests(directory).items())
    write(directory / INDEX, text)
    if close:
        (directory / INDEX).chmod(CLOSED_MODE)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Check:
    """The files of a run directory against its index."""

    directory: Path
    closed: bool
    index_digest: str
    """SHA-256 of the index; '' where there is none. Compare it with the one that the run printed at its end."""
    unaltered: tuple[str, ...]
    altered: tuple[str, ...]
    missing: tuple[str, ...]
    not_indexed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every file is there as the index has it, and no other."""
        return bool(self.index_digest) and not (self.altered or self.missing or self.not_indexed)


def check(directory: Path) -> Check:
    """Compare a run directory with its index."""
    text = read(directory / INDEX)
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in (text or "").splitlines())}
    found = _digests(directory)
    return Check(
        directory=directory,
        closed=is_closed(directory),
        index_digest="" if text is None else hashlib.sha256(text.encode()).hexdigest(),
        unaltered=tuple(name for name in wanted if found.get(name) == wanted[name]),
        altered=tuple(name for name in wanted if name in found and found[name] != wanted[name]),
        missing=tuple(name for name in wanted if name not in found),
        not_indexed=tuple(name for name in found if name not in wanted),
    )


def _digests(directory: Path) -> dict[str, str]:
    """Relative name -> SHA-256 of every file, but for the index and what is half written."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.name != INDEX and not path.name.startswith("."):
            with path.open("rb") as file:
                found[str(path.relative_to(directory))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _existing(base: Path, run_id: str) -> Iterator[Path]:
    number = 1
    while (path := _numbered(base, run_id, number)).is_dir():
        yield path
        number += 1


def _numbered(base: Path, run_id: str, number: int) -> Path:
    return base / (run_id if number == 1 else f"{run_id}.{number}")
