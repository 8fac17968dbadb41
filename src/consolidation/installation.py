"""What is installed here: the modules on a runner must be those that the control node's playbooks were written for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("consolidation", "storage_service")
SUFFIXES = {".py", ".sql", ".j2", ".css", ".mako"}


def script_directory() -> Path:
    """Alembic's folder, with env.py: inside the installed package, or beside src/ in a checkout."""
    installed = Path(__file__).parent / "alembic"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "alembic"


def fingerprint() -> str:
    """A digest of our packages' files and of the lineages, the same for a checkout and for the wheels built from it."""
    digest = hashlib.sha256()
    for name, path in sorted(_files()):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _files() -> Iterator[tuple[str, Path]]:
    """(name, path) of every file that counts; names do not depend on where things are installed."""
    revisions = script_directory()
    folders = {"alembic": revisions}
    for package in PACKAGES:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            folders[package] = Path(spec.origin).parent
    for label, folder in folders.items():
        for path in folder.rglob("*"):
            within = label != "alembic" and revisions in path.parents  # a wheel carries the lineages inside the package
            if path.suffix in SUFFIXES and not within:
                yield f"{label}/{path.relative_to(folder)}", path
