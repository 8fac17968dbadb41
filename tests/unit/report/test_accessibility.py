"""The pages can be read by everybody: by a screen reader, in the dark, on a phone, and printed.

html5lib parses them as a browser does and is strict here; contrast is WCAG's, computed by wcag-contrast-ratio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import html5lib
import pytest
import wcag_contrast_ratio

from consolidation.report import phase as report
from consolidation.report import throughput
from consolidation.review import page
from tests.report_facts import at
from tests.unit.report.test_report import FACTS, write
from tests.unit.review.test_review import look, plan  # noqa: F401 - a fixture

CSS = (Path(report.__file__).parent / "templates" / "report.css").read_text()
NS = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
TEXT_ON = [(text, ground) for text in ("ink", "soft", "good", "bad", "busy", "link") for ground in ("paper", "panel")]
BADGES = [("paper", ground) for ground in ("good", "bad", "busy", "bar", "soft", "link")]
"""Light text on a coloured ground."""


def themes() -> Iterator[tuple[str, dict[str, str]]]:
    """The colours of each theme; what one does not set is the first one's."""
    first: dict[str, str] = {}
    for name, block in zip(("light", "dark", "print"), re.findall(r":root \{(.*?)\}", CSS, re.DOTALL), strict=True):
        found = first | dict(re.findall(r"--([a-z]+): (#[0-9a-f]+);", block))
        first = first or found
        yield name, found


def rgb(colour: str) -> tuple[float, ...]:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    return tuple(int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))


@pytest.mark.parametrize(("theme", "colours"), list(themes()), ids=lambda each: each if isinstance(each, str) else "")
def test_text_stands_out_from_its_ground(theme: str, colours: dict[str, str]) -> None:
    ratios = {
        (text, ground): wcag_contrast_ratio.rgb(rgb(colours[text]), rgb(colours[ground]))
        for text, ground in TEXT_ON + BADGES
    }
    faint = {pair: round(ratio, 2) for pair, ratio in ratios.items() if not wcag_contrast_ratio.passes_AA(ratio)}
    assert not faint, theme


def test_what_is_folded_on_a_screen_is_printed() -> None:
    [printed] = re.findall(r"@media print \{(.*)\}", CSS, re.DOTALL)
    assert "details::details-content { content-visibility: visible;" in printed


def check(text: str) -> ElementTree.Element:
    """A page that is valid, has one title, headings without gaps, tables with heads and pictures with words."""
    root = html5lib.HTMLParser(strict=True).parse(text)
    assert root.get("lang") == "en"
    levels = [int(each.tag[-1]) for each in root.iter() if re.fullmatch(rf"{NS}h[1-6]", str(each.tag))]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels)), levels
    for table in root.iter(f"{NS}table"):
        assert [head.get("scope") for head in table.iter(f"{NS}th")].count(None) == 0
    scrolled = [picture for each in root.iter(f"{NS}div") if each.get("class") == "scroll" for picture in each]
    for picture in root.iter(f"{SVG}svg"):
        assert picture in scrolled, "on a phone it would shrink until its words are gone"
        assert picture.get("role") == "img"
        assert picture.get("aria-label")
    for link in root.iter(f"{NS}a"):
        assert "".join(link.itertext()).strip()
    assert len(list(root.iter(f"{NS}main"))) == 1
    assert 'name="viewport"' in text
    return root


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_the_report(tmp_path: Path, facts: dict[str, Any]) -> None:
    check(Path(write(tmp_path, facts)["path"]).read_text(encoding="utf-8"))


def test_the_plan(look: Any, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    check(page.render(plan(look, tmp_path)))


def test_throughput_is_a_picture_with_words(tmp_path: Path) -> None:
    entries = [{"at": at(second), "seconds": 1.0, "bytes": 1_000_000 * second, "rows": 10} for second in (1, 2, 4)]
    drawn = throughput.draw(entries)
    assert drawn is not None
    assert drawn.summary == "7.0 MB in 4.0 s, 1.8 MB/s on average, 4.0 MB/s at the most"
    assert max(bar.height for bar in drawn.bars) == drawn.bars[2].height
    assert all(drawn.left <= bar.x <= bar.x + bar.width <= drawn.width for bar in drawn.bars)
    assert throughput.draw(entries[:2]) is None
    assert throughput.draw([entry | {"bytes": 0} for entry in entries]) is None, "of empty tables"
    facts = FACTS["migrated"]
    databases = [facts["databases"][0] | {"throughput": entries}, *facts["databases"][1:]]
    root = check(Path(write(tmp_path, facts | {"databases": databases})["path"]).read_text(encoding="utf-8"))
    labels = [picture.get("aria-label") or "" for picture in root.iter(f"{SVG}svg")]
    assert any("Throughput of the copy of campaign_db: 7.0 MB in 4.0 s" in label for label in labels)
