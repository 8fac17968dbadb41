"""Draw the first screen of a run's report as docs/pictures/report.svg, from its report.json, of a demo for example.

    python -m tools.report_picture .demo/runs/RUN_ID/report.json

The page is drawn again by today's template; its sections on single databases are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import html5lib  # type: ignore[import-untyped]  # it brings no types

from consolidation.report import page

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "report.svg"
WIDTH, HEIGHT = 1120, 1310
XHTML, SVG = "http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"


def picture(text: str) -> str:
    """The SVG, of the text of report.json; folders and people of the machine it ran on are left out."""
    content = json.loads(text)
    html = page.render(content, [database["journal"] for database in content["databases"]], {})
    root = html5lib.parse(html.replace(f"{ROOT}/", ""))
    head, body = root.find(f"{{{XHTML}}}head"), root.find(f"{{{XHTML}}}body")
    style = head.find(f"{{{XHTML}}}style")
    body.remove(body.find(f"{{{XHTML}}}footer"))
    main = body.find(f"{{{XHTML}}}main")
    for section in list(main)[2:]:  # the cards, and the picture of the migration
        main.remove(section)
    ElementTree.register_namespace("", XHTML)
    ElementTree.register_namespace("svg", SVG)
    parts = "".join(ElementTree.tostring(part, encoding="unicode") for part in (style, body))
    return (
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<foreignObject width="{WIDTH}" height="{HEIGHT}">{parts}</foreignObject></svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
