"""Build the documentation as a site: the Markdown files of the checkout as they are, links and all.

    python tools/site.py [OUTPUT]

Sphinx with MyST; a warning or a dead link within the site is an error. Files that a page links to, but that are no
pages, become downloads. Nothing is fetched.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = ("tests/", "molecule/", ".github/")
CONFIGURATION = """
project = "Storage consolidation"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Storage consolidation runbook"
myst_heading_anchors = 4
exclude_patterns = []
# Mermaid is drawn where the files are read as they are; here its text is shown.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
"""
INDEX = """# Storage consolidation runbook

```{{toctree}}
:maxdepth: 1
:caption: Use it

docs/tutorial
docs/operator-guide
docs/next-service
README
```

```{{toctree}}
:maxdepth: 1
:caption: Look it up

{reference}
```

```{{toctree}}
:maxdepth: 1
:caption: Parts

{parts}
```
"""
USE = {"docs/tutorial", "docs/operator-guide", "docs/next-service", "README"}


def pages() -> list[str]:
    """The tracked Markdown files without their suffix."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],  # noqa: S607 - whichever git it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return sorted(name.removesuffix(".md") for name in listed if not name.startswith(HIDDEN))


def assemble(source: Path) -> None:
    """The pages, and the files that they link to."""
    found = pages()
    for page in found:
        text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
        target = source / f"{page}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = (ROOT / f"{page}.md").parent
        target.write_text(_without_folders(text, folder), encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            linked = (folder / link).resolve()
            if linked.is_file() and linked.suffix != ".md" and linked.is_relative_to(ROOT):
                copy = source / linked.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(linked, copy)
    rest = [page for page in found if page not in USE]
    reference = [page for page in rest if "/" not in page or page.startswith("docs/")]
    parts = [page for page in rest if page not in reference]
    (source / "index.md").write_text(INDEX.format(reference="\n".join(reference), parts="\n".join(parts)))
    (source / "conf.py").write_text(CONFIGURATION)


def _without_folders(text: str, folder: Path) -> str:
    """Links to folders, which only a forge can show, become their names."""

    def plain(found: re.Match[str]) -> str:
        return found[1] if (folder / found[2]).is_dir() else found[0]

    return re.sub(r"(?<!!)\[([^\]]*)\]\(([^)#:]+)\)", plain, text)


def main() -> int:
    """Sphinx' exit code."""
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        assemble(source)
        options = ["-b", "html", "-W", "--keep-going", "-n", "-q", "-d", f"{scratch}/doctrees"]
        done = subprocess.run([sys.executable, "-m", "sphinx", *options, source, output], check=False)
    if done.returncode == 0:
        print(f"{output / 'index.html'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
