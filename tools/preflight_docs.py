"""Write the table of docs/preflight.md from the catalogue of findings."""

from __future__ import annotations

from pathlib import Path

from consolidation.preflight.kinds import markdown

PAGE = Path(__file__).resolve().parent.parent / "docs" / "preflight.md"
BEGIN, END = "<!-- generated: findings -->\n", "<!-- end -->"


def page(text: str) -> str:
    """The page with the catalogue as it is now."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}{markdown()}{rest[rest.index(END) :]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
