"""What the operator's guide shows of the console, held to what playbooks print."""

from __future__ import annotations

import re

from tests.playbooks import Played
from tools import picture


def lines(played: Played) -> list[str]:
    return [line for line in played.output.splitlines() if line.strip()]


def words(line: str) -> str:
    """A line without what differs from one run to the next."""
    line = re.sub(r"-i \S+( -e @\S+)?", "-i INVENTORY", line)
    line = re.sub(r"\S*(runs/|ansible-playbook )", r"\1", line)
    line = re.sub(r"^(\w+\.yml) +\S+", r"\1 INVENTORY", line)
    line = re.sub(r"by \S+@\S+", "by OPERATOR", line)
    line = re.sub(r"[0-9a-f]{64}|\d{8}T\d{6}Z(\.\d)?|\d[\d,.:]*", "#", line)
    line = re.sub(r"# min # s|# ms", "# s", line)
    line = re.sub(r"# (kB|MB|GB)", "# B", line)
    return " ".join(line.split())


def shows_of(played: Played, playbook: str) -> None:
    """The guide's sample is some of what it prints."""
    printed = {words(line) for line in lines(played)}
    guide = {words(line) for line in picture.shown(playbook).splitlines() if line}
    assert guide <= printed, f"docs/operator-guide.md shows something else: {guide - printed}"


def shows(played: Played, playbook: str) -> None:
    """The guide's sample of a playbook is what it prints, word for word; the order of databases is theirs.

    The sites of these tests have no services: no one is repointed, and no one waits.
    """
    guide = [line for line in picture.shown(playbook).splitlines() if line and not line.startswith("services")]
    guide = [line.partition("; clients of the services")[0] if "until the" in line else line for line in guide]
    printed = [line for line in lines(played) if not line.startswith("Warning")]
    assert sorted(map(words, printed)) == sorted(map(words, guide)), "docs/operator-guide.md shows something else"
