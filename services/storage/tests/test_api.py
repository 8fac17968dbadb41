"""What the API refuses, and how it says so."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from services.tests.harness import TOKENS, Caller, Running, campaign

PROBLEM = "application/problem+json"


def test_missing_or_wrong_token_is_401(campaigns: Caller) -> None:
    for header in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}, {"Authorization": "é"}):
        raw = {name: value.encode() for name, value in header.items()}
        refused = campaigns.http.post("/v1/databases/campaign_db/campaigns/query", json={}, headers=raw)
        assert (refused.status_code, refused.headers["Content-Type"]) == (401, PROBLEM)
        assert refused.headers["WWW-Authenticate"] == "Bearer"


def test_token_of_another_database_is_403_for_every_operation(campaigns: Caller) -> None:
    row = campaigns.create("campaigns", **campaign())
    token = TOKENS["image_db"]
    for method, path, body in (
        ("POST", "campaigns/query", {}),
        ("POST", "campaigns", campaign()),
        ("PATCH", f"campaigns/{row['id']}", {"name": "x"}),
        ("DELETE", f"campaigns/{row['id']}", None),
    ):
        refused = campaigns.send(method, path, body, token=token)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:problem:forbidden")
    assert campaigns.query("campaigns")["rows"] == [row]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"filters": {"nonsense": 1}}, "body.filters.nonsense"),
        ({"filters": {"theme_data": {}}}, "body.filters.theme_data"),
        ({"filters": {"id": "x"}}, "body.filters.id"),
        ({"filters": {"is_deleted": "false"}}, "body.filters.is_deleted"),
        ({"filters": {"name": 1}}, "body.filters.name"),
        ({"filters": {"created_at": 0}}, "body.filters.created_at"),
        ({"filters": {"created_at": "2026-01-01T00:00:00"}}, "body.filters.created_at"),
        ({"filters": []}, "body.filters"),
        ({"order_by": ["nonsense"]}, "body.order_by.0"),
        ({"order_by": ["theme_data"]}, "body.order_by.0"),
        ({"order_by": ["name; DROP TABLE campaigns"]}, "body.order_by.0"),
        ({"limit": 0}, "body.limit"),
        ({"limit": 1001}, "body.limit"),
        ({"nonsense": 1}, "body.nonsense"),
    ],
)
def test_wrong_query_names_the_field(campaigns: Caller, query: dict[str, Any], field: str) -> None:
    refused = campaigns.send("POST", "campaigns/query", query)
    assert (refused.status_code, refused.headers["Content-Type"]) == (422, PROBLEM)
    assert [fault["field"] for fault in refused.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": None}, "body.name"),
        ({"name": "x" * 256}, "body.name"),
        ({"name": "a\0b"}, "body.name"),
        ({"name": 5}, "body.name"),
        ({"owner_id": "x"}, "body.owner_id"),
        ({"is_deleted": True}, "body.is_deleted"),
        ({"created_at": "2026-01-01T00:00:00Z"}, "body.created_at"),
        ({"nonsense": 1}, "body.nonsense"),
    ],
)
def test_wrong_value_names_the_column_and_writes_nothing(campaigns: Caller, values: dict[str, Any], field: str) -> None:
    refused = campaigns.send("POST", "campaigns", campaign(**values))
    assert (refused.status_code, refused.headers["Content-Type"]) == (422, PROBLEM)
    assert [fault["field"] for fault in refused.json()["errors"]] == [field]
    assert campaigns.storage.value("SELECT count(*) FROM campaign_db.campaigns") == 0


def test_integer_out_of_range_is_refused(campaigns: Caller) -> None:
    for number in ("2147483648", "9" * 5000, "1.5", '"1"', "true"):
        body = f'{{"id": "{uuid4()}", "title": "t", "sequence_number": {number}}}'
        assert campaigns.send("POST", "chapters", body).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        '{"name": NaN}',
        '{"name": 1 "x": 2}',
        '{"name": "a", "name": "b"}',
        "{} {}",
        "[]",
        "5",
        b'{"name": "\xff"}',
        '{"theme_data": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_body_that_is_no_json_object_is_refused(campaigns: Caller, body: str | bytes) -> None:
    refused = campaigns.send("POST", "campaigns", body)
    assert refused.status_code in {400, 422}, refused.text
    assert refused.headers["Content-Type"] == PROBLEM


def test_update_without_changes_is_refused(campaigns: Caller) -> None:
    assert campaigns.send("PATCH", f"campaigns/{uuid4()}", {}).status_code == 422
    assert campaigns.send("PATCH", f"campaigns/{uuid4()}", {"id": str(uuid4())}).status_code == 422


def test_unknown_database_table_and_record_are_404(campaigns: Caller) -> None:
    for path in ("campaigns/../../image_db", "alembic_version/query", "idempotency_keys/query"):
        refused = campaigns.send("POST", path, {})
        assert (refused.status_code, refused.headers["Content-Type"]) == (404, PROBLEM)
    assert "/openapi.json" in campaigns.send("POST", "../nonsense/query", {}).json()["detail"]
    assert campaigns.send("DELETE", f"campaigns/{uuid4()}").status_code == 404
    assert campaigns.send("GET", "campaigns/query").status_code == 405


def test_oversized_body_is_413_whether_declared_or_streamed(campaigns: Caller) -> None:
    large = json.dumps(campaign(description="x" * 17_000_000)).encode()
    headers = {"Authorization": f"Bearer {TOKENS['campaign_db']}", "Content-Type": "application/json"}
    for content in (large, (large[start : start + 65536] for start in range(0, len(large), 65536))):
        refused = campaigns.http.post("/v1/databases/campaign_db/campaigns", content=content, headers=headers)
        assert (refused.status_code, refused.headers["Content-Type"]) == (413, PROBLEM)
    assert campaigns.storage.value("SELECT count(*) FROM campaign_db.campaigns") == 0


def test_neither_errors_nor_the_log_carry_row_data_or_tokens(campaigns: Caller, service: Running) -> None:
    row = campaigns.create("campaigns", **campaign(name="hush-hush"))
    answers = [
        campaigns.send("POST", "campaigns", campaign(id=row["id"], name="hush-hush")),
        campaigns.send("POST", "campaigns", campaign(state="hush-hush" * 10)),
        campaigns.send("POST", "campaigns/query", {"filters": {"id": "hush-hush"}}),
    ]
    assert all(answer.is_client_error and "hush-hush" not in answer.text for answer in answers)
    log = service.log.read_text()
    assert "hush-hush" not in log
    assert TOKENS["campaign_db"] not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"method", "path", "status", "milliseconds", "caller", "request_id"} <= set(lines[-1])
