"""What is said of a write is true: unknown is unknown, a repetition is one, nobody's change is lost unseen."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from storage_service.databases.campaign_db.models import Campaign
from storage_service.db.statements import Ordering, Statements

from services.tests.harness import Caller, campaign, running, storage_configuration
from tests.cluster import Database


def test_a_write_that_may_have_happened_is_never_said_not_to_have(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage)
    limits = {"pool_size": 1, "pool_timeout_seconds": 0.5, "statement_timeout_seconds": 6, "lock_timeout_seconds": 5}
    content["database"] |= limits
    with running("storage_service", content, directory) as service, ThreadPoolExecutor(2) as threads, ExitStack() as at:
        caller = Caller(service.http, "campaign_db", storage)
        values = campaign()
        # It is written; its answer is lost, so it is sent again.
        assert caller.send("POST", "campaigns", values, Idempotency_Key="lost").status_code == 201
        campaigns, chapters = at.enter_context(storage.connection()), at.enter_context(storage.connection())
        campaigns.cursor().execute("LOCK TABLE campaign_db.campaigns")
        chapters.cursor().execute("LOCK TABLE campaign_db.chapters")
        again = threads.submit(caller.send, "POST", "campaigns", values, Idempotency_Key="lost")
        time.sleep(0.2)
        # This one takes the only connection as soon as the repetition was refused, and keeps it.
        other = threads.submit(caller.send, "POST", "chapters/query", {})
        time.sleep(0.2)
        campaigns.rollback()
        answer = again.result()
        chapters.rollback()
        assert other.result().status_code == 200
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:outcome-unknown")
        assert caller.send("POST", "campaigns", values, Idempotency_Key="lost").status_code == 201


def test_connection_that_ends_with_a_write_leaves_it_unknown(campaigns: Caller) -> None:
    row = campaigns.create("campaigns", **campaign())
    with campaigns.storage.connection() as blocker, ThreadPoolExecutor(1) as threads:
        blocker.cursor().execute("LOCK TABLE campaign_db.campaigns")
        waiting = threads.submit(campaigns.send, "PATCH", f"campaigns/{row['id']}", {"name": "n"})
        time.sleep(0.3)
        campaigns.storage.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        )
        answer = waiting.result()
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:database-unavailable")
    assert campaigns.send("POST", "campaigns/query", {}).status_code == 200


def test_what_a_key_costs_does_not_depend_on_the_document(campaigns: Caller) -> None:
    row = campaigns.create("campaigns", **campaign(theme_data={"text": "".join(map(str, range(60_000)))}))

    def written(name: str, **headers: str) -> int:
        position = campaigns.storage.value("SELECT pg_current_wal_insert_lsn()")
        assert campaigns.send("PATCH", f"campaigns/{row['id']}", {"name": name}, **headers).status_code == 200
        return int(campaigns.storage.value("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", [position]))

    written("first")
    without, with_key = (
        min(written(f"a{n}") for n in range(3)),
        min(written(f"b{n}", Idempotency_Key=f"b{n}") for n in range(3)),
    )
    assert with_key < without + 1000
    sizes = "SELECT max(pg_column_size(k)) FROM storage_service.idempotency_keys AS k"
    assert campaigns.storage.value(sizes) < 300


def test_old_keys_are_removed_however_many_they_are(storage: Database, directory: Path) -> None:
    storage.execute("""
        TRUNCATE storage_service.idempotency_keys;
        INSERT INTO storage_service.idempotency_keys (service, key, request_sha256, result, created_at)
        SELECT 's', i::text, '', '', now() - interval '30 hours' FROM generate_series(1, 6000) AS i;
        INSERT INTO storage_service.idempotency_keys (service, key, request_sha256, result) VALUES ('s', 'new', '', '');
        CREATE FUNCTION storage_service.slowly() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN PERFORM pg_sleep(0.0002); RETURN OLD; END$$;
        CREATE TRIGGER slowly BEFORE DELETE ON storage_service.idempotency_keys
            FOR EACH ROW EXECUTE FUNCTION storage_service.slowly();
    """)
    content = storage_configuration(storage)
    # All of them take longer than one statement may.
    content["database"] |= {"statement_timeout_seconds": 4}
    keys = "SELECT array_agg(key) FROM storage_service.idempotency_keys"
    try:
        with running("storage_service", content, directory):
            deadline = time.monotonic() + 30
            while storage.value(keys) != ["new"] and time.monotonic() < deadline:
                time.sleep(0.2)
            assert storage.value("SELECT count(*) FROM storage_service.idempotency_keys") == 1
    finally:
        storage.execute("DROP FUNCTION storage_service.slowly() CASCADE")


def test_every_answer_with_one_record_has_its_version(campaigns: Caller) -> None:
    created = campaigns.send("POST", "campaigns", campaign())
    path = f"campaigns/{created.json()['id']}"
    read = campaigns.send("GET", path)
    assert (read.text, read.headers["ETag"]) == (created.text, created.headers["ETag"])
    changed = campaigns.send("PATCH", path, {"name": "n"})
    assert changed.headers["ETag"] != created.headers["ETag"]
    page = campaigns.query("campaigns")
    assert [f'"{version}"' for version in page["versions"]] == [changed.headers["ETag"]]
    # A key that is referred to is locked by its children, which changes nothing.
    campaigns.create("chapters", campaign_id=created.json()["id"], title="t", sequence_number=1)
    assert campaigns.send("GET", path).headers["ETag"] == changed.headers["ETag"]


def test_write_to_another_version_is_refused(campaigns: Caller) -> None:
    created = campaigns.send("POST", "campaigns", campaign())
    path, first = f"campaigns/{created.json()['id']}", created.headers["ETag"]
    second = campaigns.send("PATCH", path, {"name": "a"}, If_Match=first).headers["ETag"]
    for method, body in (("PATCH", {"name": "b"}), ("DELETE", None)):
        refused = campaigns.send(method, path, body, If_Match=first)
        assert (refused.status_code, refused.json()["type"]) == (412, "urn:problem:version-mismatch")
        assert campaigns.send(method, path, body, If_Match=f"W/{second}").status_code == 412
        for nonsense in ("nonsense", '"a', ""):
            assert campaigns.send(method, path, body, If_Match=nonsense).status_code == 400
    assert campaigns.send("GET", path).json()["name"] == "a"
    assert campaigns.send("PATCH", path, {"name": "c"}, If_Match=f'"0", {second}').status_code == 200
    assert campaigns.send("DELETE", path, If_Match="*").status_code == 200
    assert campaigns.send("DELETE", path, If_Match=second).status_code == 404


def test_of_two_who_change_what_they_read_one_is_told(campaigns: Caller) -> None:
    created = campaigns.send("POST", "campaigns", campaign())
    path, version = f"campaigns/{created.json()['id']}", created.headers["ETag"]
    with ThreadPoolExecutor(8) as threads:
        send = lambda n: campaigns.send("PATCH", path, {"name": str(n)}, If_Match=version).status_code  # noqa: E731
        assert sorted(threads.map(send, range(8))) == [200] + [412] * 7


def test_repetition_of_a_conditional_write_is_one(campaigns: Caller) -> None:
    created = campaigns.send("POST", "campaigns", campaign())
    path, version = f"campaigns/{created.json()['id']}", created.headers["ETag"]
    answers = [campaigns.send("PATCH", path, {"name": "a"}, If_Match=version, Idempotency_Key="k") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    # The same key with another condition is another request.
    other = campaigns.send("PATCH", path, {"name": "a"}, If_Match="*", Idempotency_Key="k")
    assert other.status_code == 200 or other.json()["type"] == "urn:problem:idempotency-key-reused"


def test_repetition_after_the_record_was_removed_says_so(campaigns: Caller) -> None:
    values = campaign()
    campaigns.send("POST", "campaigns", values, Idempotency_Key="k")
    path = f"campaigns/{values['id']}"
    assert campaigns.send("DELETE", path, Idempotency_Key="d").status_code == 200
    campaigns.storage.execute("DELETE FROM campaign_db.campaigns")
    gone = campaigns.send("DELETE", path, Idempotency_Key="d")
    assert (gone.status_code, gone.json()["type"]) == (410, "urn:problem:gone")


@pytest.mark.parametrize("depth", [490, 990, 3000])
def test_deep_documents_are_kept_and_spoil_no_list(campaigns: Caller, depth: int) -> None:
    deep = '{"a":' * depth + "1.10" + "}" * depth
    values = ",".join(f'"{name}":"{value}"' for name, value in campaign().items())
    created = campaigns.send("POST", "campaigns", f'{{{values},"theme_data":{deep}}}')
    assert created.status_code == 201, created.text[:300]
    campaigns.create("campaigns", **campaign())
    assert deep in campaigns.send("POST", "campaigns/query", {}).text


def test_what_is_too_deep_for_postgresql_is_refused(campaigns: Caller) -> None:
    values = ",".join(f'"{name}":"{value}"' for name, value in campaign().items())
    refused = campaigns.send("POST", "campaigns", f'{{{values},"theme_data":{"[" * 100_000}{"]" * 100_000}}}')
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:problem:too-complex")


def test_pages_are_cut_where_rows_are_large(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage) | {"server": {"page_limit_bytes": 300_000}}
    with running("storage_service", content, directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        storage.execute("TRUNCATE campaign_db.campaigns, campaign_db.chapters")
        # Some that are compressed, some that are not, and one that is larger than a page.
        documents = ["x" * 100_000] * 20 + ["".join(map(str, range(20_000)))] * 5 + [uuid4().hex * 20_000, "small"]
        ids = [caller.create("campaigns", **campaign(theme_data=text))["id"] for text in documents]
        for path in ("campaigns/query", "campaigns/read"):
            found: list[Any] = []
            cursor, pages = None, 0
            while cursor is not None or not pages:
                left = {"ids": [id for id in ids if cursor is None or id > cursor]}
                answer = caller.send("POST", path, {"cursor": cursor} if path.endswith("query") else left)
                assert len(answer.content) < 3_000_000
                found += answer.json()["rows"]
                cursor, pages = answer.json()["next_cursor"], pages + 1
            assert sorted(row["id"] for row in found) == sorted(ids)
            assert pages > 3


def test_rows_above_their_share_fill_a_page_to_its_bound(storage: Database, directory: Path) -> None:
    content = storage_configuration(storage) | {"server": {"page_limit_bytes": 300_000}}
    with running("storage_service", content, directory) as service:
        caller = Caller(service.http, "campaign_db", storage)
        storage.execute("TRUNCATE campaign_db.campaigns, campaign_db.chapters")
        # 10 kB each, not compressed; of 100 rows in 300,000 bytes the share of one is 3 kB.
        storage.execute("ALTER TABLE campaign_db.campaigns ALTER theme_data SET STORAGE EXTERNAL")
        for number in range(25):
            caller.create("campaigns", **campaign(name=f"n{number:02}", theme_data="x" * 10_000))
        caller.create("campaigns", **campaign(name="n99"))
        assert len(caller.query("campaigns", limit=100)["rows"]) == 26
        for number in range(25, 40):
            caller.create("campaigns", **campaign(name=f"n{number:02}", theme_data="x" * 10_000))
        first = caller.query("campaigns", order_by=["name"], limit=100)
        assert len(first["rows"]) == len(first["versions"]) == 29
        second = caller.query("campaigns", order_by=["name"], limit=100, cursor=first["next_cursor"])
        assert [row["name"] for row in second["rows"]] == [f"n{number}" for number in (*range(29, 40), 99)]
        assert second["next_cursor"] is None
        # The row that only says that there are more may be of any size.
        assert len(caller.query("campaigns", order_by=["-name"], limit=1)["rows"]) == 1
        storage.execute("ALTER TABLE campaign_db.campaigns ALTER theme_data SET STORAGE EXTENDED")


@pytest.mark.parametrize("cut", [False, True])
def test_page_of_the_default_order_is_an_index_scan_wherever_it_is(storage: Database, cut: bool) -> None:
    storage.execute("TRUNCATE campaign_db.campaigns, campaign_db.chapters")
    storage.execute(
        "INSERT INTO campaign_db.campaigns (id, name, creator_id, owner_id, created_at)"
        " SELECT gen_random_uuid(), 'n', gen_random_uuid(), gen_random_uuid(), now() - make_interval(secs => i)"
        " FROM generate_series(1, 20000) AS i; ANALYZE campaign_db.campaigns"
    )
    for order in ("created_at", "-created_at"):
        page = Statements(Campaign.__table__, "campaign_db").page(  # type: ignore[arg-type]  # a table
            {"is_deleted": False}, Ordering.parse([order]), (False, False), cut=cut
        )
        sql = page.sql
        values = {"is_deleted": "false", "after_0": "'2020-01-01'", "after_1": f"'{uuid4()}'"}
        values |= {"limit": "100", "byte_limit": "1e6"}
        for number, name in reversed(list(enumerate(page.names, 1))):
            sql = sql.replace(f"${number}::", f"{values[name]}::")
        plan = json.dumps(storage.value(f"EXPLAIN (FORMAT JSON) {sql}"))
        assert "ix_campaigns_created_at_id" in plan
        assert "ROW(" in plan
        assert '"Node Type": "Sort"' not in plan


def test_many_rows_are_read_and_written_by_one_request(campaigns: Caller) -> None:
    rows = [campaign(name=f"n{n}", theme_data={"n": n}, description=None if n % 2 else "d") for n in range(300)]
    answers = [campaigns.send("POST", "campaigns/batch", {"rows": rows}, Idempotency_Key="b") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    for answer in answers:
        assert {row["id"]: row["theme_data"] for row in answer.json()["rows"]} == {
            row["id"]: row["theme_data"] for row in rows
        }
    ids = [row["id"] for row in rows]
    campaigns.send("DELETE", f"campaigns/{ids[0]}")
    found = campaigns.send("POST", "campaigns/read", {"ids": [*ids, str(uuid4())]}).json()
    assert [row["id"] for row in found["rows"]] == sorted(ids[1:])
    assert len(found["versions"]) == 299
    assert found["next_cursor"] is None


def test_batch_is_written_whole_or_not_at_all(campaigns: Caller) -> None:
    known = campaigns.create("campaigns", **campaign())
    for bad, status in (
        ([campaign(), campaign(id=known["id"])], 409),
        ([campaign(), campaign(name="x" * 256)], 422),
        ([campaign(), campaign(state="x")], 422),
        ([campaign(), campaign(nonsense=1)], 422),
        ([campaign(), {"id": str(uuid4())}], 422),
        ([], 422),
        ([campaign()] * 1001, 422),
        ([5], 422),
    ):
        assert campaigns.send("POST", "campaigns/batch", {"rows": bad}).status_code == status
    assert [row["id"] for row in campaigns.query("campaigns")["rows"]] == [known["id"]]


def test_batch_keeps_the_text_of_documents(campaigns: Caller) -> None:
    for text in ("1.10", '{"b": 1.00,  "a": 2, "a": 3}', "9" * 5000):
        values = ",".join(f'"{name}": "{value}"' for name, value in campaign().items())
        body = f'{{"rows": [{{{values}, "theme_data": {text} }}]}}'
        created = campaigns.send("POST", "campaigns/batch", body)
        assert created.status_code == 201, created.text
        assert f'"theme_data":{text},' in created.text


def test_health_of_a_client_library_of_before_is_served(campaigns: Caller) -> None:
    answer: httpx.Response = campaigns.http.post(
        "/databases/campaign_db/campaigns/query",
        json={},
        headers={"Authorization": "Bearer token-of-the-campaign-service"},
    )
    assert answer.status_code == 200


def test_threads_are_all_answered(campaigns: Caller) -> None:
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(campaigns.create("campaigns", **campaign())["id"]))
        for _ in range(32)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(done)) == 32
