"""The named SQL files."""

from __future__ import annotations

from pathlib import Path

import pytest

import consolidation

FILES = sorted(Path(consolidation.__file__).parent.rglob("*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_sql_is_ascii(path: Path) -> None:
    """A database of another encoding than UTF8 refuses a statement with characters that it has not."""
    assert path.read_text(encoding="utf-8").isascii()
