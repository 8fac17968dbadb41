"""What preflight decides without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidation.preflight import columns, runner, server
from consolidation.preflight.findings import BLOCKER, INFO, WARNING, Finding, in_order, summary, text_table
from consolidation.preflight.kinds import CATALOGUE, KINDS
from consolidation.preflight.models import default_text
from consolidation.preflight.types import Type, parse
from tools import preflight_docs

ROOT = Path(__file__).parents[3]


def test_every_kind_of_finding_is_provoked_by_a_test() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    # Those of the services are tested with the services.
    ours = [kind for kind in KINDS if not kind.startswith(("service.", "storage_service."))]
    assert [kind for kind in ours if not any(f'"{kind}"' in text for text in texts)] == []
    assert len(KINDS) == len(CATALOGUE)


def test_the_page_lists_the_catalogue() -> None:
    text = preflight_docs.PAGE.read_text(encoding="utf-8")
    assert text == preflight_docs.page(text), "run `python tools/preflight_docs.py`"


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("uuid", "uuid", columns.SAME),
        ("json", "jsonb", columns.JSON),
        ("jsonb[]", "json[]", columns.JSON),
        ("character varying(50)", "character varying(255)", columns.WIDER),
        ("character varying(50)", "text", columns.WIDER),
        ("character varying(256)", "character varying(255)", columns.SHORTER),
        ("text", "character varying(255)", columns.SHORTER),
        ("character varying", "character varying(255)", columns.SHORTER),
        ("character(3)", "character(5)", columns.DIFFERENT),
        ("character(3)", "text", columns.DIFFERENT),
        ("integer", "bigint", columns.WIDER),
        ("bigint", "integer", columns.DIFFERENT),
        ("integer", "numeric", columns.DIFFERENT),
        ("numeric(10,2)", "numeric(12,2)", columns.WIDER),
        ("numeric(10,2)", "numeric(12,3)", columns.DIFFERENT),
        ("numeric(10)", "numeric(10,0)", columns.WIDER),
        ("numeric", "numeric(10,2)", columns.DIFFERENT),
        ("numeric(10,2)", "numeric", columns.WIDER),
        ("timestamp(3) with time zone", "timestamp with time zone", columns.WIDER),
        ("timestamp with time zone", "timestamp(3) with time zone", columns.DIFFERENT),
        ("timestamp without time zone", "timestamp with time zone", columns.DIFFERENT),
        ("text[]", "text", columns.DIFFERENT),
        ('"json"', "jsonb", columns.DIFFERENT),
    ],
)
def test_types(here: str, there: str, expected: str) -> None:
    assert columns.verdict(parse(here), parse(there)) == expected


@given(st.integers(1, 99), st.integers(1, 99), st.integers(0, 20), st.integers(0, 20))
def test_numeric_is_wider_only_where_every_value_fits_and_prints_matched(
    digits: int, more: int, scale: int, other: int
) -> None:
    verdict = columns.verdict(Type("numeric", (digits, scale)), Type("numeric", (more, other)))
    assert (verdict != columns.DIFFERENT) == (scale == other and digits <= more)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("'draft'::character varying", "draft"),
        ("'it''s'::text", "it's"),
        ("'{}'::jsonb", "{}"),
        ("CURRENT_TIMESTAMP", "now()"),
        ("false", "false"),
        ("'a'::text || 'b'::text", "'a'::text || 'b'::text"),
        (None, None),
    ],
)
def test_defaults(expression: str | None, text: str | None) -> None:
    assert default_text(expression) == text


@pytest.mark.parametrize(
    ("side", "major", "expected"),
    [
        ("source", 12, ["source.version.unsupported"]),
        ("target", 12, ["target.version.unsupported"]),
        ("source", 13, []),
        ("source", 18, []),
        ("source", 19, ["source.version.untested"]),
        ("target", 19, ["target.version.untested"]),
    ],
)
def test_versions_of_a_server(side: str, major: int, expected: list[str]) -> None:
    assert [found.id for found in server.version(side, major)] == expected


def test_the_target_must_not_be_older() -> None:
    assert [found.id for found in server.versions(16, 15)] == ["target.version.older"]
    assert list(server.versions(16, 16)) == list(server.versions(15, 18)) == []


@pytest.mark.parametrize("side", ["source", "target"])
def test_room_for_locks(side: str) -> None:
    assert list(server.locks(side, 3200, 64, 6400)) == []
    [few] = server.locks(side, 10_000, 64, 6400)
    assert few.id in ("source.locks.few", "target.locks.few")
    assert few.id.startswith(side)
    assert "max_locks_per_transaction = 256" in few.fix


@pytest.mark.parametrize(
    ("side", "sslmode", "tls", "client", "expected"),
    [
        ("source", "disable", False, None, []),
        ("source", "prefer", False, "127.0.0.1", []),
        ("source", "prefer", False, "::1", []),
        ("source", "prefer", False, "10.0.0.7", ["source.connection.unencrypted"]),
        ("target", "prefer", False, "fe80::1", ["target.connection.unencrypted"]),
        ("source", "require", True, "10.0.0.7", ["source.connection.unverified"]),
        ("target", "verify-ca", True, "10.0.0.7", ["target.connection.unverified"]),
        ("source", "verify-full", True, "10.0.0.7", []),
    ],
)
def test_encryption(side: str, sslmode: str, tls: bool, client: str | None, expected: list[str]) -> None:
    assert [found.id for found in server.encryption(side, "db1", sslmode, tls, client)] == expected


def test_tools() -> None:
    path = Path("/usr/bin/pg_dump")
    assert [found.id for found in runner.tool_findings(path, 15, (15, 16))] == ["runner.tool.too_old"]
    assert list(runner.tool_findings(path, 18, (15, 16))) == []
    assert [found.id for found in runner.tool_findings(path, None, ())] == ["runner.tool.missing"]
    assert runner.tool_version("pg_dump (PostgreSQL) 16.14 (Debian 16.14-1)") == 16
    assert runner.tool_version("something else") is None


def test_room_for_the_backup() -> None:
    assert [found.id for found in runner.space_findings(Path("/b"), "d", 9, 10)] == ["runner.backup.space"]
    assert list(runner.space_findings(Path("/b"), "d", 10, 10)) == []


def test_table_for_people() -> None:
    findings = [
        Finding("b.info", INFO, "x", "nothing", "nothing to do"),
        Finding("c.blocker", BLOCKER, "line\nbreak \x1b[31m", "long " * 60, "SELECT 1;\n" + "x" * 200),
        Finding("a.warning", WARNING, "y", "what", "fix"),
    ]
    assert [found.severity for found in in_order(findings)] == [BLOCKER, WARNING, INFO]
    assert summary(findings) == {BLOCKER: 1, WARNING: 1, INFO: 1, "blocker_ids": ["c.blocker"]}
    lines = text_table("campaign_db", findings).splitlines()
    assert lines[0] == "campaign_db: 1 blocker, 1 warning, 1 info"
    assert lines[2].startswith("BLOCKER  c.blocker")
    assert lines[2].endswith(r"line\nbreak \x1b[31m")
    assert max(len(line) for line in lines if "xxx" not in line) <= 110
    assert "         fix: SELECT 1;" in lines
    assert " " * 14 + "x" * 200 in lines
