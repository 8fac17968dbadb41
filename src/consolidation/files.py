"""Private files, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PRIVATE = 0o600


def make(directory: Path) -> None:
    """mkdir -p, where every folder that is made gets mode 0700 (``parents=True`` would ignore the mode)."""
    if not directory.is_dir():
        make(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def write(path: Path, content: str, *, mode: int = PRIVATE, durable: bool = True) -> None:
    """Replace a file in one step. Raises OSError, and leaves nothing.

    ``durable``: it outlives a crash of the host, too.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # created with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Have a file's content, or a directory's entries, outlive a crash of the host."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
