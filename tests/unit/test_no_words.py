"""No decision hangs on the words of a server's message: it may speak any language. SQLSTATE and names decide."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Where words are handed on to people, or a hint (nothing else) follows from libpq's own.
FOR_PEOPLE = {"src/consolidation/errors.py", "src/consolidation/postgres/connection.py"}
WORDS = re.compile(r"message_primary|pgerror|in str\(error\)|FATAL|permission denied for|ERROR:|unrecognized .* in ")


def test_words_of_a_server_decide_nothing() -> None:
    files = [path for folder in ("src", "library", "plugins") for path in (ROOT / folder).rglob("*.py")]
    found = {
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        if str(path.relative_to(ROOT)) not in FOR_PEOPLE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WORDS.search(line)
    }
    assert found == set()
