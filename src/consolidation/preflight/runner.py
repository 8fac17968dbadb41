"""Checks of the runner: client programs, passfiles, room for the backup."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from consolidation.postgres.connection import Settings
from consolidation.postgres.queries import query, rows
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.side import Check, Side
from consolidation.text import size

TOOLS = ("pg_dump", "pg_restore", "pg_dumpall")
TOOL_SECONDS = 20


def checks(directory: Path, programs: Path, majors: tuple[int, ...], source: Side | None) -> Iterator[Check]:
    """directory: of the backups; programs: of the client programs; majors: of the servers that could be asked."""
    yield Check("the client programs", lambda: _tools(programs, majors))
    yield Check("the backup directory", lambda: writable(directory))
    if source is not None:
        yield Check("room for the backup", partial(_space, directory, source))


def passfile(side: str, settings: Settings) -> Iterator[Finding]:
    """A passfile that libpq would ignore."""
    if settings.passfile is None:
        return
    path = Path(settings.passfile)
    option = f"consolidation_database.{side}.passfile"
    if not os.access(path, os.R_OK):
        what = f"{option} of {settings.user}: the file does not exist or cannot be read"
        fix = (
            f"install -m 0600 /dev/null {path}, and write the line HOST:PORT:DATABASE:{settings.user}:PASSWORD into it"
        )
        yield found("runner.passfile.missing", str(path), what, fix)
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        what = f"mode {stat.S_IMODE(path.stat().st_mode):04o}: libpq ignores a passfile that others may read"
        yield found("runner.passfile.open", str(path), what, f"chmod 0600 {path}")


def tool_version(text: str) -> int | None:
    """``pg_dump (PostgreSQL) 16.14`` -> 16; None where there is no version in it."""
    match = re.search(r"\(PostgreSQL\) (\d+)", text)
    return int(match.group(1)) if match else None


def tool_findings(path: Path, version: int | None, majors: tuple[int, ...]) -> Iterator[Finding]:
    """What a client program's version means for these servers. version: None where it does not run."""
    if version is None:
        what = f"{path} is missing or does not run"
        fix = "install PostgreSQL's client programs, or correct consolidation_postgresql_bin"
        yield found("runner.tool.missing", path.name, what, fix)
    elif version < max(majors, default=0):
        what = f"{path} is version {version}, a server is {max(majors)}: it would refuse to work"
        fix = f"install the client programs of PostgreSQL {max(majors)}, and set consolidation_postgresql_bin"
        yield found("runner.tool.too_old", path.name, what, fix)


def _tools(programs: Path, majors: tuple[int, ...]) -> Iterator[Finding]:
    for name in TOOLS:
        yield from tool_findings(programs / name, _version_of(programs / name), majors)


def _version_of(path: Path) -> int | None:
    try:
        command = [str(path), "--version"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TOOL_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return tool_version(done.stdout)


def writable(directory: Path) -> Iterator[Finding]:
    """The directory, or the nearest one above it that exists, must take new files."""
    existing = _existing(directory)
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        what = f"{existing} is not a directory that this account may write"
        fix = f"install -d -m 0700 -o {os.geteuid()} {directory}, or correct consolidation_backup_directory"
        yield found("runner.backup.directory", str(directory), what, fix)


def _existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.parents) if path.exists())


def _space(directory: Path, source: Side) -> Iterator[Finding]:
    [(needed,)] = rows(source.conn, query("preflight/dump_size"))
    free = shutil.disk_usage(_existing(directory)).free
    yield from space_findings(directory, source.settings.dbname, free, needed)


def space_findings(directory: Path, dbname: str, free: int, needed: int) -> Iterator[Finding]:
    """free, needed: bytes."""
    if free < needed:
        what = f"{size(free)} free; the dump of {dbname} may need {size(needed)} (its tables' size)"
        fix = "free some space, or set consolidation_backup_directory to a larger file system"
        yield found("runner.backup.space", str(directory), what, fix)
