from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from consolidation.preflight.findings import BLOCKER, INFO, WARNING
from consolidation.preflight.services import Host, Release, service, storage_service

CONFIG = b"database:\n  type: postgresql\n  password: secret-word\n"
REMOTE = b"database:\n  type: storage_service\n  schema: campaign_db\n  client: storage_client\n"
STORAGE = b"storage: {}\nservices: {campaign: {database: campaign_db, token_sha256: secret-word}}\n"
HOST = Host(
    name="campaign_1",
    config="/etc/c.yml",
    exists=True,
    writable=True,
    content=CONFIG,
    health_url="http://127.0.0.1:1/health",
    health_status=200,
    restartable=True,
)
RELEASE = Release("/opt/c/releases/2", ready=True, requirements="storage-client\n", wheelhouse=False, linked=True)
ENTRIES = {"campaign_db": {"schema": "campaign_db", "migrations": True, "backup": True}}


def test_a_host_in_order_has_no_finding() -> None:
    assert list(service(HOST, RELEASE, "campaign_db")) == []
    assert list(storage_service(replace(HOST, content=STORAGE), ENTRIES, called=True)) == []
    unbuilt = replace(RELEASE, ready=False, wheelhouse=True)
    assert list(service(HOST, unbuilt, "campaign_db")) == []


@pytest.mark.parametrize(
    ("host", "release", "found"),
    [
        ({"exists": False}, {}, {"service.config.missing": BLOCKER}),
        ({"writable": False}, {}, {"service.config.not_writable": BLOCKER}),
        ({"content": b"database: {type: mysql, password: secret-word}"}, {}, {"service.config.unexpected": BLOCKER}),
        ({"content": b"database: [secret-word\n"}, {}, {"service.config.unexpected": BLOCKER}),
        ({"health_status": 503}, {}, {"service.health.failing": BLOCKER}),
        ({"health_status": -1, "content": REMOTE}, {}, {"service.health.not_yet": WARNING}),
        ({"restartable": False}, {}, {"service.restart.unknown": BLOCKER}),
        ({}, {"linked": False}, {"service.release.no_link": BLOCKER}),
        ({}, {"requirements": None}, {"service.release.missing": BLOCKER}),
        ({}, {"requirements": "asyncpg\nstorage-client\n"}, {"service.release.requirements": BLOCKER}),
        ({}, {"ready": False}, {"service.release.wheelhouse": BLOCKER}),
        (
            {"exists": False, "health_status": -1},
            {"linked": False, "ready": False},
            {
                "service.config.missing": BLOCKER,
                "service.health.failing": BLOCKER,
                "service.release.no_link": BLOCKER,
                "service.release.wheelhouse": BLOCKER,
            },
        ),
    ],
)
def test_every_fault_is_found_with_its_fix(
    host: dict[str, Any], release: dict[str, Any], found: dict[str, str]
) -> None:
    findings = list(service(replace(HOST, **host), replace(RELEASE, **release), "campaign_db"))
    assert {each.id: each.severity for each in findings} == found
    assert all(each.fix and each.subject == "campaign_1" for each in findings)
    assert "secret-word" not in str(findings)


@pytest.mark.parametrize(
    "content",
    [
        b"database: {type: postgresql, password: secret-word}\n",
        b'{"database": {"type": "postgresql", "password": "secret-word"}}\n',
        b"database:\n  - type: postgresql\n    password: secret-word\n",
        b"database: &db\n  type: postgresql\n  password: secret-word\nother: *db\n",
        b"database:\n  type: postgresql\n  password: &p secret-word\nother: *p\n",
        b"database: &db\n  type: postgresql\n  password: secret-word\nother:\n  <<: *db\n",
        b"x: &x\n  type: postgresql\n  password: secret-word\ndatabase: *x\n",
        b"x: &x\n  type: postgresql\n  password: secret-word\n<<: {database: *x}\n",
        CONFIG + b"---\nother: 1\n",
        CONFIG + CONFIG,
        CONFIG + b"  password: again\n",
        CONFIG.replace(b"  ", b"\t"),
        CONFIG + "# Grüße\n".encode("latin-1"),
        CONFIG.decode().encode("utf-16"),
        CONFIG + b"bell: \x07\n",
        b"",
    ],
)
def test_a_configuration_that_cannot_be_edited_is_refused_with_a_fix(content: bytes) -> None:
    """Flow, JSON, anchors, aliases, merges, two documents, keys twice, tabs, encodings."""
    [finding] = service(replace(HOST, content=content), RELEASE, "campaign_db")
    assert (finding.id, finding.severity) == ("service.config.unexpected", BLOCKER)
    assert re.search("write (it|the section)|correct the file|save the file", finding.fix)
    assert "secret-word" not in str(finding)


@pytest.mark.parametrize(
    "content",
    [
        b"storage: {databases: {other: {schema: other}}}\n",
        b"storage:\n  databases: {other: {schema: other}}\n",
        b"storage: &s\n  databases: {}\nother: *s\n",
        b"storage:\n  - databases\n",
        b"storage:\n\tdatabases: {}\n",
    ],
)
def test_a_storage_service_that_gets_no_entry_is_refused_with_a_fix(content: bytes) -> None:
    [finding] = storage_service(replace(HOST, content=content), ENTRIES, called=False)
    assert (finding.id, finding.severity) == ("service.config.unexpected", BLOCKER)
    assert re.search("write it|correct the file", finding.fix)


@pytest.mark.parametrize(
    ("status", "name", "severity"), [(503, "not_ready", INFO), (-1, "no_answer", WARNING), (0, "no_answer", WARNING)]
)
def test_a_storage_service_that_is_down_is_told_from_one_that_is_not_ready_yet(
    status: int, name: str, severity: str
) -> None:
    host = replace(HOST, content=STORAGE, health_status=status)
    assert [(each.id, each.severity) for each in storage_service(host, ENTRIES, called=True)] == [
        (f"storage_service.health.{name}", severity)
    ]


@pytest.mark.parametrize(
    "content",
    [b"storage: {}\n", b"services: {}\n", STORAGE.replace(b"campaign_db", b"image_db"), b"services: [secret-word]\n"],
)
def test_a_database_that_no_caller_may_use_is_found_unless_no_service_is_to(content: bytes) -> None:
    host = replace(HOST, content=content)
    [finding] = storage_service(host, ENTRIES, called=True)
    assert (finding.id, finding.severity) == ("storage_service.caller.missing", BLOCKER)
    assert "secret-word" not in str(finding)
    assert list(storage_service(host, ENTRIES, called=False)) == []
