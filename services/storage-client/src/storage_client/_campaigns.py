"""The Campaign database: records and typed client."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from storage_client._client import StorageClient
from storage_client._rows import Reader, Record


class Campaign(Record):
    """A row of campaigns."""

    __slots__ = ()

    name: str
    description: str | None
    campaign_type: str
    state: str
    theme_id: UUID | None
    theme_data: Any
    campaign_metadata: Any
    creator_id: UUID
    owner_id: UUID


class Chapter(Record):
    """A row of chapters."""

    __slots__ = ()

    campaign_id: UUID | None
    title: str
    description: str | None
    chapter_type: str
    state: str
    sequence_number: int
    content: Any
    chapter_metadata: Any
    prerequisites: Any


_CAMPAIGNS = Reader(Campaign)
_CHAPTERS = Reader(Chapter)


class CampaignDBClient:
    """Reads and writes the Campaign Service's records. Deleted records are not found.

    A write that was given an `id` and an `idempotency_key` may be repeated with both: it happens once.
    """

    def __init__(self, storage: StorageClient, database: str = "campaign_db") -> None:
        self._campaigns = storage.table(database, "campaigns", _CAMPAIGNS)
        self._chapters = storage.table(database, "chapters", _CHAPTERS)

    async def get_campaign(self, id: UUID) -> Campaign | None:
        """A campaign, or None."""
        return await self._campaigns.get(id)

    async def get_many_campaigns(self, ids: Iterable[UUID]) -> list[Campaign]:
        """The campaigns with these ids that are there, in the order of their ids."""
        return await self._campaigns.get_many(ids)

    async def list_campaigns(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = ("created_at",),
        limit: int | None = 100,
    ) -> list[Campaign]:
        """Campaigns that equal `filters`; at most `limit`, None for all."""
        return await self._campaigns.live(filters, order_by, limit)

    async def create_campaign(self, values: Mapping[str, Any], *, idempotency_key: str | None = None) -> Campaign:
        """Create a campaign; without an `id` it gets a random one. Raises Conflict, InvalidRequest."""
        return await self._campaigns.create(values, idempotency_key)

    async def create_campaigns(
        self, rows: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Campaign]:
        """Create up to 1,000 campaigns that name the same columns: all or none. Raises Conflict, InvalidRequest."""
        return await self._campaigns.create_many(rows, idempotency_key)

    async def update_campaign(
        self,
        id: UUID,
        changes: Mapping[str, Any],
        *,
        if_version: str | None = None,
        idempotency_key: str | None = None,
    ) -> Campaign:
        """Change the named columns. Raises NotFound, VersionMismatch, InvalidRequest."""
        return await self._campaigns.update(id, changes, if_version=if_version, key=idempotency_key)

    async def delete_campaign(
        self, id: UUID, *, if_version: str | None = None, idempotency_key: str | None = None
    ) -> Campaign:
        """Mark a campaign as deleted. Raises NotFound, VersionMismatch."""
        return await self._campaigns.delete(id, if_version=if_version, key=idempotency_key)

    async def get_chapters(self, campaign_id: UUID) -> list[Chapter]:
        """All chapters of a campaign, by sequence_number."""
        return await self._chapters.live({"campaign_id": campaign_id}, ["sequence_number"], None)

    async def get_chapter(self, id: UUID) -> Chapter | None:
        """A chapter, or None."""
        return await self._chapters.get(id)

    async def get_many_chapters(self, ids: Iterable[UUID]) -> list[Chapter]:
        """The chapters with these ids that are there, in the order of their ids."""
        return await self._chapters.get_many(ids)

    async def list_chapters(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = ("sequence_number",),
        limit: int | None = 100,
    ) -> list[Chapter]:
        """Chapters that equal `filters`; at most `limit`, None for all."""
        return await self._chapters.live(filters, order_by, limit)

    async def create_chapter(self, values: Mapping[str, Any], *, idempotency_key: str | None = None) -> Chapter:
        """Create a chapter; without an `id` it gets a random one. Raises Conflict, InvalidRequest."""
        return await self._chapters.create(values, idempotency_key)

    async def create_chapters(
        self, rows: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Chapter]:
        """Create up to 1,000 chapters that name the same columns: all or none. Raises Conflict, InvalidRequest."""
        return await self._chapters.create_many(rows, idempotency_key)

    async def update_chapter(
        self,
        id: UUID,
        changes: Mapping[str, Any],
        *,
        if_version: str | None = None,
        idempotency_key: str | None = None,
    ) -> Chapter:
        """Change the named columns. Raises NotFound, VersionMismatch, InvalidRequest."""
        return await self._chapters.update(id, changes, if_version=if_version, key=idempotency_key)

    async def delete_chapter(
        self, id: UUID, *, if_version: str | None = None, idempotency_key: str | None = None
    ) -> Chapter:
        """Mark a chapter as deleted. Raises NotFound, VersionMismatch."""
        return await self._chapters.delete(id, if_version=if_version, key=idempotency_key)
