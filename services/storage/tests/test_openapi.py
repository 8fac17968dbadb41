"""The service does what its OpenAPI document says, for requests nobody thought of."""

from __future__ import annotations

import json
import os
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance
from storage_service.app import served_tables
from storage_service.config import Settings
from storage_service.openapi import document

from services.tests.harness import EMPTY, TOKENS, Running
from tests.cluster import Database

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "15"))
"""Per operation and mode; raise it for a long search."""

# The document needs no database, and pytest needs the operations before there is one.
SETTINGS = {
    "server": {"port": 1},
    "database": {"host": "none", "dbname": "none", "user": "none"},
    "storage": {"databases": {name: {"schema": name} for name in TOKENS}},
    "services": {},
}
DOCUMENT = document(served_tables(Settings.model_validate(SETTINGS))).decode()
# A space in the place of the T, as PostgreSQL writes it, and an offset without its colon are taken too: not invalid.
TOLERANT = DOCUMENT.replace('"format":"date-time"', '"title":"date-time"')


def operations(text: str) -> dict[str, APIOperation]:
    """The operations that a document describes, by their labels."""
    found = schemathesis.openapi.from_dict(json.loads(text)).get_all_operations()
    return {result.ok().label: result.ok() for result in found}


OPERATIONS = {"valid": operations(DOCUMENT), "invalid": operations(TOLERANT)}
MODES = [(label, "valid") for label in OPERATIONS["valid"]] + [
    (label, "invalid") for label in OPERATIONS["invalid"] if "/databases/" in label
]


@pytest.mark.parametrize(("label", "mode"), MODES)
def test_answers_fit_the_document(label: str, mode: str, service: Running, storage: Database) -> None:
    operation = OPERATIONS[mode][label]
    database = operation.path.split("/")[3] if "/databases/" in label else "campaign_db"
    # jsonb refuses some JSON (\u0000, numbers beyond numeric), and the rows of a batch name the same columns, all of
    # which no JSON Schema can say.
    excluded = [positive_data_acceptance] if database == "image_db" or operation.path.endswith("/batch") else []
    storage.execute(EMPTY)

    @given(operation.as_strategy(generation_mode=GenerationMode["POSITIVE" if mode == "valid" else "NEGATIVE"]))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(case: Case) -> None:
        headers = {"Authorization": f"Bearer {TOKENS[database]}"}
        if mode == "valid":
            # What no schema can say: a cursor comes from an answer, and a key is used for one request only.
            headers["Idempotency-Key"] = uuid4().hex
            if isinstance(case.body, dict):
                case.body.pop("cursor", None)
            case.headers.pop("If-Match", None)
        case.call_and_validate(base_url=service.url, headers=headers, excluded_checks=excluded)

    check()


@pytest.mark.parametrize("label", [label for label in OPERATIONS["valid"] if "/databases/" in label])
def test_examples_are_requests_and_answers_of_this_service(label: str, service: Running, storage: Database) -> None:
    storage.execute(EMPTY)
    method, path = label.split(" ")
    database, table = path.split("/")[3:5]
    operation = json.loads(DOCUMENT)["paths"][path][method.lower()]
    headers = {"Authorization": f"Bearer {TOKENS[database]}"}
    parents = {"chapters": ["campaigns"], "overlays": ["images"]}.get(table, [])
    made = [table] if path.endswith(("/query", "/read", "/{id}")) else []
    for each in parents + made:
        at = f"/v1/databases/{database}/{each}"
        record = example_of(json.loads(DOCUMENT)["paths"][at]["post"])
        created = service.http.post(at, json=record, headers=headers)
        assert created.status_code == 201, created.text
        path = path.replace("{id}", record["id"])
    body = example_of(operation) if "requestBody" in operation else None
    answer = service.http.request(method, path, json=body, headers=headers)
    assert answer.is_success, answer.text
    shown, given = (
        operation["responses"][str(answer.status_code)]["content"]["application/json"]["example"],
        answer.json(),
    )
    if "rows" in shown:
        assert shown.keys() == given.keys()
        shown, given = shown["rows"][0], given["rows"][0]
    assert given.keys() - shown.keys() == {"deleted_at"}  # null


def example_of(operation: dict[str, Any]) -> Any:
    """The first example of a request's body."""
    return operation["requestBody"]["content"]["application/json"]["schema"]["examples"][0]


def test_the_page_for_people_names_every_operation(service: Running) -> None:
    shown = service.http.get("/docs")
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for label in OPERATIONS["valid"]:
        assert f"<code>{label}</code>" in shown.text
