"""The manifest beside a dump: what it holds, and the SHA-256 of every file.

A dump directory holds ``dump/`` (pg_dump's directory format), ``globals.sql`` and ``manifest.json``. The manifest's own
SHA-256 is in the journal, so that a manifest that was changed or swapped along with its dump is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypedDict

from consolidation import files
from consolidation.borders import Json
from consolidation.errors import BackupError

FORMAT = 1
NAME = "manifest.json"
DUMP = "dump"
GLOBALS = "globals.sql"

RESTORE_HINT = "do not use this dump; restore an intact copy of the directory from your archive, or back up again"


class TableContent(TypedDict):
    """What a table of the dump holds."""

    rows: int
    digest: str
    """32 hexadecimal digits."""


class SequencePosition(TypedDict):
    """Of a sequence, read before the dump began."""

    last_value: int
    is_called: bool
    increment: int


class FileContent(TypedDict):
    """Of a file of the dump."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What one dump holds."""

    format: int
    run_id: str
    database: str
    """Name of the service database in the runbook."""
    source: Json
    """``host``, ``port``, ``dbname``."""
    source_schema: str
    server_version: str
    tool_version: int
    """Major version of pg_dump."""
    snapshot_at: str
    """ISO 8601, UTC: every write that was acknowledged before it is in the dump."""
    lsn: str | None
    """Position in the source's write-ahead log at about that time; None where the role may not read it."""
    properties: Json
    """Of the database itself, see sql/database_properties.sql: owner, locale, grants, settings."""
    database_bytes: int
    tables: dict[str, TableContent]
    """Of the source schema, by name."""
    sequences: dict[str, SequencePosition]
    """Of the source schema, by name."""
    files: dict[str, FileContent]
    """By path below the directory."""

    @property
    def dump_bytes(self) -> int:
        """Size of all files."""
        return sum(file["bytes"] for file in self.files.values())


def write(directory: Path, manifest: Manifest) -> str:
    """Write ``manifest.json``; its SHA-256."""
    content = json.dumps(asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    files.write(directory / NAME, content)
    return hashlib.sha256(content.encode()).hexdigest()


def check(directory: Path, *, sha256: str | None, run_id: str, database: str) -> Manifest:
    """The manifest, if it is the one the journal knows and every file is as it was written.

    Raises BackupError that names what is wrong.
    """
    path = directory / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackupError(f"no dump in {directory}: {NAME}: {error.strerror}", hint=RESTORE_HINT) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BackupError(f"{path} is not the manifest that the journal knows", hint=RESTORE_HINT)
    manifest = parse(content, path)
    if (manifest.run_id, manifest.database) != (run_id, database):
        raise BackupError(
            f"{directory} holds the dump of {manifest.database} from run {manifest.run_id},"
            f" not of {database} from run {run_id}",
            hint=RESTORE_HINT,
        )
    wrong = differences(manifest.files, directory)
    if wrong:
        raise BackupError(f"the dump in {directory} is damaged: {'; '.join(wrong)}", hint=RESTORE_HINT)
    return manifest


def parse(content: bytes, path: Path) -> Manifest:
    """A manifest from its file's content. Raises BackupError."""
    wanted = {field.name for field in fields(Manifest)}
    try:
        found = json.loads(content)
        keys = set(found)
    except (ValueError, TypeError) as error:
        raise BackupError(f"{path} is not a manifest", hint=RESTORE_HINT) from error
    if keys != wanted or found["format"] != FORMAT:
        raise BackupError(f"{path} is not a manifest of format {FORMAT}", hint=RESTORE_HINT)
    return Manifest(**found)


def hashes(directory: Path) -> dict[str, FileContent]:
    """Size and SHA-256 of every file below a directory but the manifest, by path. Raises OSError."""
    return {
        str(path.relative_to(directory)): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in _files(directory)
    }


def differences(files: Mapping[str, FileContent], directory: Path) -> list[str]:
    """What is missing, extra or altered among the files, in words. Sizes first: they cost nothing to read."""
    there = {str(path.relative_to(directory)): path for path in _files(directory)}
    wrong = [f"{name} is missing" for name in sorted(files.keys() - there.keys())]
    wrong += [f"{name} does not belong there" for name in sorted(there.keys() - files.keys())]
    for name in sorted(files.keys() & there.keys()):
        size = there[name].stat().st_size
        if size != files[name]["bytes"]:
            wrong.append(f"{name} has {size} bytes, not {files[name]['bytes']}")
        elif not _readable_and_equal(there[name], files[name]["sha256"]):
            wrong.append(f"{name} has other content (SHA-256), or cannot be read")
    return wrong


def _readable_and_equal(path: Path, sha256: str) -> bool:
    try:
        return _sha256(path) == sha256
    except OSError:
        return False


def _files(directory: Path) -> Iterable[Path]:
    return (path for path in sorted(directory.rglob("*")) if not path.is_dir() and path != directory / NAME)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
