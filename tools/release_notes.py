"""Print what CHANGELOG.md says of a tag's version: ``python -m tools.release_notes v0.1.0``.

Exit code 1 where tag, version of the package and section do not agree.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from consolidation import __version__

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def notes(changelog: str, tag: str, version: str) -> str:
    """The version's section, without its heading. Raises ValueError."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, the version in src/consolidation/__init__.py {version}")
    for section in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        if re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading):
            return text.strip() + "\n"
    raise ValueError(f"CHANGELOG.md has no section `## {version} (YYYY-MM-DD)`")


if __name__ == "__main__":
    try:
        sys.stdout.write(notes(CHANGELOG.read_text(encoding="utf-8"), sys.argv[1], __version__))
    except ValueError as error:
        sys.exit(str(error))
