"""Draw the console of a run as docs/pictures/console.svg, from what the operator's guide shows of it.

    python tools/picture.py

tests/integration/console/test_console.py holds the guide to what the console really prints.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "operator-guide.md"
PICTURE = ROOT / "docs" / "pictures" / "console.svg"
WIDTH = 118
STYLES = (
    (re.compile(r"CLOSED|REFUSES WRITES|FAILED"), "bold red"),
    (re.compile(r"^(MIGRATED|ROLLED BACK)|  (ok|done|equal|OPEN)  "), "green"),
)


def shown(playbook: str) -> str:
    """What the guide shows of a playbook's console."""
    found = re.search(rf"<!-- console: {re.escape(playbook)} -->\n```\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    if not found:
        raise ValueError(f"{GUIDE} shows no console of {playbook}")
    return found[1]


def picture() -> str:
    """The SVG; the same text gives the same picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in shown("migrate.yml").splitlines():
        style = next((style for pattern, style in STYLES if pattern.search(line)), "")
        console.print(Text(line, style=style, overflow="ellipsis", no_wrap=True))
    return console.export_svg(title="ansible-playbook migrate.yml", unique_id="console")


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")
