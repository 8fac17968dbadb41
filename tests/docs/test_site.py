"""The site builds without a warning, and its pictures are those of the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import picture, site


def test_the_site_builds_and_a_dead_link_would_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["site", str(tmp_path / "site")])
    assert site.main() == 0
    for page in ("docs/operator-guide.html", "docs/reference.html", "README.html", "roles/fence/README.html"):
        assert (tmp_path / "site" / page).exists()
    monkeypatch.setattr(site, "INDEX", site.INDEX + "\n[dead](docs/nowhere.md)\n")
    assert site.main() != 0


def test_the_picture_of_the_console_is_what_the_guide_shows() -> None:
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.picture(), "run `make docs`"
