"""House words stay out of messages, task names, docs, comments: the field's words stand there (docs/glossary.md)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import psycopg2
import pytest

from consolidation.errors import next_step

ROOT = Path(__file__).parents[2]
READ = [
    *("src", "library", "plugins", "roles", "playbooks", "docs", "inventories", "alembic", "demo", "molecule"),
    *("migrate.yml", "rollback.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "STYLE.md"),
]
SUFFIXES = {".py", ".yml", ".yaml", ".md", ".sql", ".j2"}
REPLACED = {
    r"mend(s|ed|ing|able)?": "fix",
    r"in charge": "authoritative, current",
    r"ways? back": "rollback",
    r"(lead|leads|led|leading) (it |the \w+ |them |itself )?(over|back|on)(?! to\b)": "repoint, fail back, resolve",
    r"(take|takes|taken|taking|took) (it |one |the \w+ )?back": "roll back, undo",
    r"settled": "skip_reason",
    r"(take|takes|taken|taking) [a-z ]*along": "migrate, include",
    r"further runners?|the lead\b(?! time)|its lead\b": "additional copy host, coordinator",
    r"givers?|receivers?": "origin, destination",
    r"(?<!')seal(s|ed)?": "fence epoch",
    r"(is|are|was|were|be) at work|else is at it": "running, active",
    r"told|tells?": "report, notify, distinguish",
    r"nobody": "no one",
    r"lies": "is",
    r"lonely|alike|restless|acquit(s|ted)?|suspects?": "one-sided, matching, still changing, candidate",
    r"anew|for certain|somebody|anybody": "again, confirmed, another session",
    r"authority's|certificate authority": "CA",
}
HINT_OF_NOTHING = re.compile(
    r"^(see the log, )?(fix|remove|correct) (the cause|that|it)[,;]? (and|then)\b", re.IGNORECASE
)


def texts() -> list[Path]:
    found = [path for name in READ for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))]
    return [path for path in found if path.suffix in SUFFIXES and path.is_file()]


@pytest.mark.parametrize("word", REPLACED, ids=REPLACED.values())
def test_house_words_are_replaced(word: str) -> None:
    pattern = re.compile(rf'(?<![\w."`])({word})(?![\w])', re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def test_names_are_spelled_one_way() -> None:
    """The Storage Service is the service, the storage database the database."""
    other = re.compile(r"\bstorage service\b|Storage service\b|(?<![.:] )(?<!^)(?<!\| )Storage [dD]atabase\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if other.search(line)
    ]
    assert not found, "\n".join(found)


IDENTIFIERS = r"(un)?prove|ways?_back|at_work|mend(ed|ing|s)?|in_charge|settled|lead_back"


def test_house_words_are_replaced_in_names() -> None:
    """The proof of a cutover is a phase, and keeps its name."""
    pattern = re.compile(rf"\b(def |class |\w+\.)(\w*_)?({IDENTIFIERS})(_\w+)?\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for name in ("src", "library", "plugins", "roles")
        for path in (ROOT / name).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


def test_a_hint_says_what_to_do() -> None:
    hints = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {text.value}"
        for path in (ROOT / "src").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.keyword) and call.arg == "hint"
        for text in ast.walk(call.value)
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and HINT_OF_NOTHING.match(text.value)
    ]
    assert not hints, "\n".join(hints)


@pytest.mark.parametrize(
    ("sqlstate", "says"),
    [
        ("53100", "free space"),
        ("53300", "max_connections"),
        ("53200", "give the server more"),
        ("42501", "grant"),
        ("55P03", "holds the lock"),
        ("57P01", "accepts connections"),
        ("25006", "standby"),
        ("23505", "constraint"),
        ("42703", "server's log"),
        (None, "network"),
    ],
)
def test_a_server_error_has_a_next_step_by_its_sqlstate(sqlstate: str | None, says: str) -> None:
    raised = type("Raised", (psycopg2.Error,), {"pgcode": sqlstate})()
    assert says in next_step(raised)
    assert next_step(raised).endswith(", then run the same command again")
