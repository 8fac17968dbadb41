from __future__ import annotations

import json

import pytest

from consolidation.errors import ConfigurationError
from consolidation.services.config import plan_cutover, plan_rollback, plan_served

BEFORE = b"""\
# Campaign Service
server: {port: 8080}
database:
  type: postgresql
  host: db.example
  user: campaign_app
  password: 'pa:ss'
  options:
    - -c secret=1
  dsn: postgresql://campaign_app:pa:ss@db.example
storage: {url: "http://storage:8080", token: tok}
"""
AFTER = b"""\
# Campaign Service
server: {port: 8080}
database:
  type: storage_service
  schema: campaign_db
  client: storage_client
storage: {url: "http://storage:8080", token: tok}
"""


def test_cutover_changes_the_section_and_shows_no_secret() -> None:
    plan = plan_cutover("/etc/c.yml", BEFORE, "campaign_db")
    assert plan.changed
    assert plan.after == AFTER
    assert plan.diff()["before"] == (
        "database.type: postgresql\ndatabase.host: db.example\ndatabase.user: campaign_app\n"
        "database.password: [redacted]\ndatabase.options[]: [redacted]\ndatabase.dsn: [redacted]\n"
    )
    seen = json.dumps([plan.diff(), plan.as_result()])
    assert not [secret for secret in ("pa:ss", "secret=1", "tok", "8080") if secret in seen]


def test_a_second_cutover_changes_nothing() -> None:
    plan = plan_cutover("/etc/c.yml", AFTER, "campaign_db")
    assert not plan.changed
    assert plan.after == AFTER


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"server: {}\n", "has no database section"),
        (b"database:\nserver: {}\n", "no mapping but a scalar"),
        (b"db: &d {type: postgresql}\ndatabase: *d\n", "without braces, anchors and aliases"),
        (b"database: {host: h}\n", "database.type is missing, expected postgresql"),
        (b"database: {type: mysql}\n", "database.type is mysql"),
        (AFTER.replace(b"campaign_db", b"image_db"), "not at schema campaign_db"),
        (b"database:\n  type: postgresql\n  password: p\xff\n", "not UTF-8"),
    ],
)
def test_a_section_that_is_not_as_expected_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        plan_cutover("/etc/c.yml", content, "campaign_db")


def test_rollback_of_an_untouched_file_gives_the_very_file_back() -> None:
    plan = plan_rollback("/etc/c.yml", AFTER, BEFORE, AFTER)
    assert (plan.changed, plan.after) == (True, BEFORE)
    again = plan_rollback("/etc/c.yml", BEFORE, BEFORE, AFTER)
    assert (again.changed, again.after) == (False, BEFORE)


def test_rollback_of_an_edited_file_keeps_the_edit_and_says_so() -> None:
    plan = plan_rollback("/etc/c.yml", AFTER.replace(b"port: 8080}", b"port: 9090}"), BEFORE, AFTER)
    assert plan.after == BEFORE.replace(b"port: 8080}", b"port: 9090}")
    assert "was edited since the cutover; only its database section goes back" in plan.message
    again = plan_rollback("/etc/c.yml", plan.after, BEFORE, AFTER)
    assert not again.changed


def test_rollback_refuses_a_database_section_that_is_neither_ours_nor_the_old_one() -> None:
    with pytest.raises(ConfigurationError, match="neither the old one nor ours"):
        plan_rollback("/etc/c.yml", BEFORE.replace(b"db.example\n  user", b"other\n  user"), BEFORE, AFTER)


def test_the_storage_service_gets_all_entries_in_one_go() -> None:
    entries = {name: {"schema": name, "migrations": True, "backup": True} for name in ("campaign_db", "image_db")}
    plan = plan_served("/etc/s.yml", b"storage:\n  databases: {}\ndatabase: {password: p}\n", entries)
    assert plan.after.count(b"migrations: true") == 2
    assert plan.after.endswith(b"\ndatabase: {password: p}\n")
    assert not plan_served("/etc/s.yml", plan.after, entries).changed
    assert "password" not in json.dumps([plan.diff(), plan.as_result()])
