"""The typed clients against a running Storage Service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from storage_client import (
    CampaignDBClient,
    Conflict,
    Forbidden,
    ImageDBClient,
    InvalidRequest,
    NotFound,
    StorageClient,
    Unauthorized,
    Unavailable,
)

from services.tests.harness import EMPTY, TOKENS, Running, campaign, fenced, image
from tests.cluster import Database

Result = TypeVar("Result")
Use = Callable[[StorageClient], Coroutine[Any, Any, Result]]


@pytest.fixture
def run(service: Running, storage: Database) -> Callable[..., Any]:
    """run(use, database): use a client with that database's token; all tables are empty at first."""
    storage.execute(EMPTY)

    def run(use: Use[Result], token: str = TOKENS["campaign_db"]) -> Result:
        async def main() -> Result:
            async with StorageClient(service.url, token, retry_seconds=0.5) as client:
                return await use(client)

        return asyncio.run(main())

    return run


def test_campaigns_and_chapters(run: Callable[..., Any]) -> None:
    async def use(storage: StorageClient) -> None:
        db = CampaignDBClient(storage)
        assert await db.get_campaign(uuid4()) is None
        exact = {"a": Decimal("1.10"), "big": 12345678901234567890}
        made = await db.create_campaign({**campaign(), "theme_data": exact})
        assert made.theme_data == exact
        assert made.created_at.tzinfo is not None
        assert await db.get_campaign(made.id) == made
        for number in (2, 1):
            await db.create_chapter({"campaign_id": made.id, "title": f"t{number}", "sequence_number": number})
        assert [chapter.title for chapter in await db.get_chapters(made.id)] == ["t1", "t2"]
        first = (await db.get_chapters(made.id))[0]
        assert (await db.update_chapter(first.id, {"title": "new"})).title == "new"
        await db.delete_chapter(first.id)
        assert [chapter.title for chapter in await db.list_chapters()] == ["t2"]
        assert (await db.update_campaign(made.id, {"state": "done"})).state == "done"
        assert [found.id for found in await db.list_campaigns({"state": "done"})] == [made.id]
        assert (await db.delete_campaign(made.id)).is_deleted
        assert await db.get_campaign(made.id) is None
        assert await db.list_campaigns() == []
        with pytest.raises(NotFound):
            await db.delete_campaign(made.id)

    run(use)


def test_images_and_overlays(run: Callable[..., Any]) -> None:
    async def use(storage: StorageClient) -> None:
        db = ImageDBClient(storage)
        made = await db.create_image(image(metadata={"a": Decimal("2.50")}, references=None))
        assert (made.metadata, made.references, made.overlays) == ({"a": Decimal("2.50")}, None, [])
        overlay = await db.create_overlay({"image_id": made.id, "type": "t", "elements": [1]})
        assert await db.get_overlays(made.id) == [overlay]
        assert await db.get_overlay(overlay.id) == overlay
        assert (await db.update_overlay(overlay.id, {"elements": []})).elements == []
        await db.delete_overlay(overlay.id)
        assert await db.list_overlays() == []
        assert (await db.update_image(made.id, {"type": "x"})).type == "x"
        await db.delete_image(made.id)
        assert await db.get_image(made.id) is None

    run(use, TOKENS["image_db"])


def test_lists_go_over_pages_and_stop_at_the_limit(run: Callable[..., Any], storage: Database) -> None:
    async def use(client: StorageClient) -> None:
        db = CampaignDBClient(client)
        parent = await db.create_campaign(campaign())
        storage.execute(
            "INSERT INTO campaign_db.chapters (id, campaign_id, title, sequence_number)"
            " SELECT gen_random_uuid(), %s, 't', i / 3 FROM generate_series(1, 2100) AS i",
            [str(parent.id)],
        )
        chapters = await db.get_chapters(parent.id)
        assert len({chapter.id for chapter in chapters}) == 2100
        assert [chapter.sequence_number for chapter in chapters] == sorted(number // 3 for number in range(1, 2101))
        assert await db.list_chapters({"campaign_id": parent.id}, limit=1001) == chapters[:1001]
        assert await db.list_chapters(limit=0) == []

    run(use)


def test_infinite_timestamps_are_pythons_greatest_and_least(run: Callable[..., Any], storage: Database) -> None:
    async def use(client: StorageClient) -> None:
        made = await CampaignDBClient(client).create_campaign(campaign())
        storage.execute("UPDATE campaign_db.campaigns SET created_at = 'infinity', updated_at = '-infinity'")
        found = await CampaignDBClient(client).get_campaign(made.id)
        assert found is not None
        assert (found.created_at, found.updated_at) == (
            datetime.max.replace(tzinfo=UTC),
            datetime.min.replace(tzinfo=UTC),
        )

    run(use)


def test_refusals_have_their_own_errors(run: Callable[..., Any]) -> None:
    async def use(storage: StorageClient) -> None:
        db = CampaignDBClient(storage)
        made = await db.create_campaign(campaign())
        with pytest.raises(Conflict):
            await db.create_campaign(campaign(id=made.id))
        with pytest.raises(InvalidRequest) as caught:
            await db.create_campaign(campaign(nonsense=1))
        assert caught.value.errors[0]["field"] == "body.nonsense"
        with pytest.raises(InvalidRequest):
            await storage.read("campaign_db", "campaigns", {"theme_data": {}})
        with pytest.raises(Forbidden):
            await ImageDBClient(storage).list_images()

    run(use)

    async def list_campaigns(storage: StorageClient) -> None:
        await CampaignDBClient(storage).list_campaigns()

    with pytest.raises(Unauthorized):
        run(list_campaigns, "wrong")


def test_fence_is_waited_for_and_the_write_happens_once(run: Callable[..., Any], storage: Database) -> None:
    async def refused(client: StorageClient) -> str:
        with pytest.raises(Unavailable) as caught:
            await client.write("campaign_db", "campaigns", values)
        assert caught.value.idempotency_key is not None
        return caught.value.idempotency_key

    values = campaign()
    with fenced(storage, "campaign_db.campaigns"):
        key = run(refused)

    async def again(client: StorageClient) -> list[Any]:
        return [await client.write("campaign_db", "campaigns", values, idempotency_key=key) for _ in range(2)]

    first, second = run(again)
    assert first == second
    assert UUID(first["id"]) == UUID(values["id"])
    assert storage.value("SELECT count(*) FROM campaign_db.campaigns") == 1


def test_write_is_repeated_with_what_the_first_one_made_up(run: Callable[..., Any], storage: Database) -> None:
    async def use(client: StorageClient) -> None:
        db = CampaignDBClient(client)
        values = {name: value for name, value in campaign().items() if name != "id"}
        made = await db.create_campaign(values)
        again = await db.create_campaign({**values, "id": made.id}, idempotency_key=made.idempotency_key)
        assert (again, again.version) == (made, made.version)
        rows = [values | {"name": f"n{number}"} for number in range(50)]
        many = await db.create_campaigns(rows)
        assert [each.name for each in many] == [row["name"] for row in rows]
        for each in many[:5]:
            await db.update_campaign(each.id, {"state": "done"})
        anew = [{**row, "id": each.id} for row, each in zip(rows, many, strict=True)]
        repeated = await db.create_campaigns(anew, idempotency_key=many[0].idempotency_key)
        assert [each.name for each in repeated] == [row["name"] for row in rows]
        assert storage.value("SELECT count(*) FROM campaign_db.campaigns") == 51

    run(use)


def test_health_is_the_services(run: Callable[..., Any]) -> None:
    async def use(storage: StorageClient) -> dict[str, Any]:
        return await storage.health()

    assert run(use)["ok"] is True
