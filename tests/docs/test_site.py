"""The site builds without a warning, and its pictures are those of the text."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from consolidation.report import page as report_page
from tools import picture, report_picture, site


def test_the_site_builds_and_a_dead_link_would_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["site", str(tmp_path / "site")])
    assert site.main() == 0
    for page in ("docs/operator-guide.html", "docs/reference.html", "README.html", "roles/fence/README.html"):
        assert (tmp_path / "site" / page).exists()
    monkeypatch.setattr(site, "INDEX", site.INDEX + "\n[dead](docs/nowhere.md)\n")
    assert site.main() != 0


def test_the_picture_of_the_console_is_what_the_guide_shows() -> None:
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.picture(), "run `make docs`"


def test_the_picture_of_the_report_has_its_present_look() -> None:
    css = (Path(report_page.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    drawn = ElementTree.parse(report_picture.PICTURE).getroot()  # noqa: S314 - our own file
    [style] = drawn.iter(f"{{{report_picture.XHTML}}}style")
    assert style.text is not None
    assert style.text.strip() == css.strip(), "draw it again: python -m tools.report_picture, after a demo"
    assert [each.text for each in drawn.iter(f"{{{report_picture.XHTML}}}h2")][:2] == [
        "Write outage, measured",
        "Rollback: campaign_db, image_db",
    ]
