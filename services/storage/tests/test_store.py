"""Reads and writes through the API, on a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.tests.harness import Caller, campaign, fenced, image, prepare_storage, running, storage_configuration
from tests.cluster import Database

COUNT = "SELECT count(*) FROM campaign_db.campaigns"


def test_created_row_has_the_defaults_of_the_table(campaigns: Caller) -> None:
    row = campaigns.create("campaigns", **campaign(name='O\'Brien "x"\n{}'))
    assert row["name"] == 'O\'Brien "x"\n{}'
    assert (row["campaign_type"], row["state"], row["theme_data"], row["is_deleted"]) == (
        "traditional",
        "draft",
        {},
        False,
    )
    assert campaigns.query("campaigns")["rows"] == [row]


@pytest.mark.parametrize(
    "text",
    [
        "1.10",
        "-0",
        "1e400",
        "1E+5",
        "12345678901234567890.123456789012345678901234567890",
        "9" * 5000,
        '"\\u0000"',
        '"\\ud800"',
        "null",
        '{"b": 1.00,  "a": 2, "a": 3}',
        "[]",
    ],
)
def test_json_column_keeps_the_text_as_sent(campaigns: Caller, text: str) -> None:
    values = ",".join(f'"{name}": "{value}"' for name, value in campaign().items())
    created = campaigns.send("POST", "campaigns", f'{{{values}, "theme_data": {text} }}')
    assert created.status_code == 201, created.text
    assert f'"theme_data":{text},' in created.text
    assert campaigns.storage.value("SELECT theme_data::text FROM campaign_db.campaigns") == text
    assert f'"theme_data":{text},' in campaigns.send("POST", "campaigns/query", {}).text


@pytest.mark.parametrize("text", ["1.10", "1.00", "12345678901234567890.1234567890", "9" * 5000, "1" + "0" * 400])
def test_jsonb_column_keeps_every_digit(images: Caller, text: str) -> None:
    values = ",".join(f'"{name}": "{value}"' for name, value in image().items())
    created = images.send("POST", "images", f'{{{values}, "content": {{"n": {text}}}}}'.replace('"content": "{}",', ""))
    assert created.status_code == 201, created.text
    assert f'{{"n": {text}}}' in created.text
    assert images.storage.value("SELECT content->>'n' FROM image_db.images") == text


def test_what_jsonb_cannot_hold_is_refused(images: Caller) -> None:
    for value in ('"\\u0000"', '"\\ud800"', "1e200000"):
        body = f'{{"id": "{uuid4()}", "type": "t", "subtype": "s", "metadata": {{}}, "content": {value}}}'
        refused = images.send("POST", "images", body)
        assert refused.status_code == 422, refused.text
        assert refused.json()["type"] == "urn:problem:invalid-value"
    assert images.storage.value("SELECT count(*) FROM image_db.images") == 0


def test_json_null_is_sql_null_only_where_the_column_may_be_null(images: Caller) -> None:
    images.create("images", **image(overlays=None, content=None))
    assert images.storage.rows("SELECT overlays IS NULL, content::text FROM image_db.images") == [(True, "null")]


def test_update_changes_the_named_columns_only(campaigns: Caller) -> None:
    before = campaigns.create("campaigns", **campaign(description="text"))
    after = campaigns.send("PATCH", f"campaigns/{before['id']}", {"name": "new", "description": None}).json()
    assert after == before | {"name": "new", "description": None, "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]


def test_deleted_row_stays_and_is_no_longer_changed(campaigns: Caller) -> None:
    row = campaigns.create("campaigns", **campaign())
    path = f"campaigns/{row['id']}"
    deleted = campaigns.send("DELETE", path)
    assert deleted.status_code == 200
    assert deleted.json()["is_deleted"] is True
    assert campaigns.send("DELETE", path).status_code == 404
    assert campaigns.send("PATCH", path, {"name": "new"}).status_code == 404
    assert campaigns.query("campaigns", filters={"is_deleted": False})["rows"] == []
    assert campaigns.storage.value("SELECT name FROM campaign_db.campaigns WHERE deleted_at IS NOT NULL") == row["name"]


def test_filters_are_equality_and_null(campaigns: Caller) -> None:
    one = campaigns.create("campaigns", **campaign(description=None, state="draft"))
    two = campaigns.create("campaigns", **campaign(description="", state="done"))

    def found(**filters: Any) -> list[Any]:
        return [row["id"] for row in campaigns.query("campaigns", filters=filters)["rows"]]

    assert found(description=None) == [one["id"]]
    assert found(description="") == [two["id"]]
    assert found(state="done", owner_id=two["owner_id"]) == [two["id"]]
    assert found(created_at=one["created_at"]) == [one["id"]]
    assert found(state="done", owner_id=one["owner_id"]) == []


@pytest.mark.parametrize(
    "order_by", [[], ["name"], ["-name"], ["description", "-name"], ["-description"], ["-created_at", "-id"], ["id"]]
)
def test_pages_join_to_the_whole_under_ties_and_nulls(campaigns: Caller, order_by: list[str]) -> None:
    for number in range(11):
        description = (None, "", "a")[number % 3]
        campaigns.create("campaigns", **campaign(name=f"n{number % 2}", description=description))
    campaigns.storage.execute("UPDATE campaign_db.campaigns SET created_at = 'infinity' WHERE name = 'n1'")
    whole = [row["id"] for row in campaigns.query("campaigns", order_by=order_by)["rows"]]
    assert len(set(whole)) == 11
    for limit in (1, 3, 11):
        pages: list[Any] = []
        cursor = None
        while cursor is not None or not pages:
            page = campaigns.query("campaigns", order_by=order_by, limit=limit, cursor=cursor)
            pages += [row["id"] for row in page["rows"]]
            cursor = page["next_cursor"]
        assert pages == whole


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"])
def test_pages_of_any_text_join_to_the_whole(storage: Database, directory: Path, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    with closing(storage.server.connect()) as conn, conn.cursor() as cursor:
        cursor.execute(
            f"CREATE DATABASE {name} OWNER consolidation TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
        )
    encoded = prepare_storage(storage.in_database(name))
    with running("storage_service", storage_configuration(encoded), directory) as service:
        caller = Caller(service.http, "campaign_db", encoded)
        texts = ["", "é", '"', "\\", 'a,\n","b', "}],", "ÿ" * 700]
        texts += ["€", "😀" * 300, "\u2028"] if encoding == "UTF8" else []
        made = [
            caller.create("campaigns", **campaign(name=f"n{number}", description=text, theme_data=[{"t": text}]))
            for number, text in enumerate(texts)
        ]
        for limit in range(1, len(made) + 2):
            found: list[Any] = []
            page: dict[str, Any] = {"next_cursor": None}
            while page["next_cursor"] is not None or not found:
                page = caller.query("campaigns", order_by=["name"], limit=limit, cursor=page["next_cursor"])
                assert len(page["rows"]) == len(page["versions"]) <= limit
                found += page["rows"]
            assert found == made


def test_page_after_a_row_that_was_deleted_goes_on_behind_it(campaigns: Caller) -> None:
    for number in range(4):
        campaigns.create("campaigns", **campaign(name=f"n{number}"))
    first = campaigns.query("campaigns", order_by=["name"], limit=2)
    campaigns.storage.execute("DELETE FROM campaign_db.campaigns WHERE name = 'n1'")
    second = campaigns.query("campaigns", order_by=["name"], limit=2, cursor=first["next_cursor"])
    assert [row["name"] for row in second["rows"]] == ["n2", "n3"]


def test_cursor_of_another_query_is_refused(campaigns: Caller) -> None:
    for _ in range(3):
        campaigns.create("campaigns", **campaign())
    cursor = campaigns.query("campaigns", limit=1)["next_cursor"]
    for query in (
        {"order_by": ["name"], "cursor": cursor},
        {"filters": {"state": "x"}, "cursor": cursor},
        {"cursor": "x"},
    ):
        refused = campaigns.send("POST", "campaigns/query", query)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:problem:invalid-cursor")


def test_repeated_write_happens_once_and_gets_its_record(campaigns: Caller) -> None:
    values = campaign()
    created = [campaigns.send("POST", "campaigns", values, Idempotency_Key="create") for _ in range(2)]
    path = f"campaigns/{values['id']}"
    renamed = [campaigns.send("PATCH", path, {"name": "new"}, Idempotency_Key="rename") for _ in range(2)]
    deleted = [campaigns.send("DELETE", path, Idempotency_Key="delete") for _ in range(2)]
    for first, second in (created, renamed, deleted):
        assert (first.status_code, first.text) == (second.status_code, second.text)
        assert first.headers["ETag"] == second.headers["ETag"]
    # The row as it is now: what was answered then is not kept, it may be large.
    again = campaigns.send("POST", "campaigns", values, Idempotency_Key="create")
    assert (again.status_code, again.json()["name"], again.json()["is_deleted"]) == (201, "new", True)
    assert campaigns.storage.value(COUNT) == 1


def test_key_with_another_request_is_refused(campaigns: Caller) -> None:
    campaigns.send("POST", "campaigns", campaign(), Idempotency_Key="key")
    refused = campaigns.send("POST", "campaigns", campaign(), Idempotency_Key="key")
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:problem:idempotency-key-reused")
    assert campaigns.storage.value(COUNT) == 1


def test_same_key_sent_many_times_at_once_writes_once(campaigns: Caller) -> None:
    row = campaigns.create("campaigns", **campaign())
    campaigns.storage.execute("ALTER TABLE campaign_db.campaigns ADD COLUMN IF NOT EXISTS writes int DEFAULT 0")
    campaigns.storage.execute("""
        CREATE FUNCTION campaign_db.count_writes() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END$$;
        CREATE TRIGGER count_writes BEFORE UPDATE ON campaign_db.campaigns
            FOR EACH ROW EXECUTE FUNCTION campaign_db.count_writes();
    """)
    try:
        with ThreadPoolExecutor(8) as threads:
            send = lambda _: campaigns.send("PATCH", f"campaigns/{row['id']}", {"name": "n"}, Idempotency_Key="k")  # noqa: E731
            answers = list(threads.map(send, range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
        assert campaigns.storage.value("SELECT writes FROM campaign_db.campaigns") == 1
        assert "writes" not in answers[0].text
    finally:
        campaigns.storage.execute("DROP FUNCTION campaign_db.count_writes() CASCADE")
        campaigns.storage.execute("ALTER TABLE campaign_db.campaigns DROP COLUMN writes")


def test_fenced_table_refuses_writes_and_still_answers_reads_and_repeats(campaigns: Caller) -> None:
    values = campaign()
    first = campaigns.send("POST", "campaigns", values, Idempotency_Key="before")
    late = campaign()
    with fenced(campaigns.storage, "campaign_db.campaigns"):
        refused = campaigns.send("POST", "campaigns", late, Idempotency_Key="during")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:fenced")
        assert int(refused.headers["Retry-After"]) >= 1
        assert campaigns.send("PATCH", f"campaigns/{values['id']}", {"name": "x"}).status_code == 503
        assert campaigns.send("DELETE", f"campaigns/{values['id']}").status_code == 503
        assert campaigns.send("POST", "campaigns", values, Idempotency_Key="before").text == first.text
        assert len(campaigns.query("campaigns")["rows"]) == 1
    assert campaigns.send("POST", "campaigns", late, Idempotency_Key="during").status_code == 201
    assert campaigns.storage.value(COUNT) == 2


def test_key_and_reference_conflicts_are_409_without_row_data(campaigns: Caller) -> None:
    row = campaigns.create("campaigns", **campaign(name="secret"))
    twice = campaigns.send("POST", "campaigns", campaign(id=row["id"]))
    orphan = campaigns.send(
        "POST", "chapters", {"id": str(uuid4()), "campaign_id": str(uuid4()), "title": "t", "sequence_number": 1}
    )
    assert (twice.status_code, twice.json()["type"]) == (409, "urn:problem:already-exists")
    assert (orphan.status_code, orphan.json()["type"]) == (409, "urn:problem:reference-missing")
    assert row["id"] not in twice.text
