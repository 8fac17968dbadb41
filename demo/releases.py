"""Releases of the services: virtual environments that hold what their requirements name, and nothing else.

In production a release is installed from a wheelhouse. Here its distributions are linked from the environment that the
demo itself runs in, which needs no package index and no time; what a release lacks, it cannot import either way.
"""

from __future__ import annotations

import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def create(release: Path, requirements: str) -> None:
    """Build the new directory `release` from the content of a requirements file.

    It holds `venv`, `requirements.txt` and the mark `.ready`.
    Raises PackageNotFoundError when the demo's own environment lacks one of them.
    """
    venv.create(release / "venv", symlinks=True, with_pip=False)
    (release / "requirements.txt").write_text(requirements)
    [packages] = release.glob("venv/lib/python*/site-packages")
    for found in _closure([Requirement(line) for line in _lines(requirements)]).values():
        for name in {Path(file).parts[0] for file in found.files or ()} - {"..", "/", "__pycache__"}:
            link = packages / name
            if not link.exists():  # namespace packages are shared
                link.symlink_to(Path(str(found.locate_file(name))))
    (release / ".ready").touch()


def _lines(requirements: str) -> Iterator[str]:
    for line in requirements.splitlines():
        if text := line.partition("#")[0].strip():
            yield text


def _closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    """Name -> distribution, of the requirements and of all that these require."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    while requirements:
        requirement = requirements.pop()
        for extra in ("", *requirement.extras):
            if (requirement.name.lower(), extra) in seen:
                continue
            seen.add((requirement.name.lower(), extra))
            held = found.setdefault(requirement.name.lower(), distribution(requirement.name))
            needed = [Requirement(text) for text in held.requires or ()]
            # without an extra: what is needed always; with it: what is needed besides
            requirements += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})]
    return found
