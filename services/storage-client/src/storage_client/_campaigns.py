"""The Campaign database: records and typed client."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from storage_client._client import StorageClient
from storage_client._records import Record, Records


class Campaign(Record):
    """A row of campaigns."""

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

    campaign_id: UUID | None
    title: str
    description: str | None
    chapter_type: str
    state: str
    sequence_number: int
    content: Any
    chapter_metadata: Any
    prerequisites: Any


class CampaignDBClient:
    """Reads and writes the Campaign Service's records. Deleted records are not found."""

    def __init__(self, storage: StorageClient, database: str = "campaign_db") -> None:
        self._campaigns = Records(storage, database, "campaigns", Campaign)
        self._chapters = Records(storage, database, "chapters", Chapter)

    async def get_campaign(self, id: UUID) -> Campaign | None:
        """A campaign, or None."""
        return await self._campaigns.get(id)

    async def list_campaigns(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = ("created_at",),
        limit: int | None = 100,
    ) -> list[Campaign]:
        """Campaigns that equal `filters`; at most `limit`, None for all."""
        return await self._campaigns.list(filters, order_by, limit)

    async def create_campaign(self, values: Mapping[str, Any]) -> Campaign:
        """Create a campaign; without an `id` it gets a random one. Raises Conflict, InvalidRequest."""
        return await self._campaigns.create(values)

    async def update_campaign(self, id: UUID, changes: Mapping[str, Any]) -> Campaign:
        """Change the named columns. Raises NotFound, InvalidRequest."""
        return await self._campaigns.update(id, changes)

    async def delete_campaign(self, id: UUID) -> Campaign:
        """Mark a campaign as deleted. Raises NotFound."""
        return await self._campaigns.delete(id)

    async def get_chapters(self, campaign_id: UUID) -> list[Chapter]:
        """All chapters of a campaign, by sequence_number."""
        return await self._chapters.list({"campaign_id": campaign_id}, ["sequence_number"], None)

    async def get_chapter(self, id: UUID) -> Chapter | None:
        """A chapter, or None."""
        return await self._chapters.get(id)

    async def list_chapters(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = ("sequence_number",),
        limit: int | None = 100,
    ) -> list[Chapter]:
        """Chapters that equal `filters`; at most `limit`, None for all."""
        return await self._chapters.list(filters, order_by, limit)

    async def create_chapter(self, values: Mapping[str, Any]) -> Chapter:
        """Create a chapter; without an `id` it gets a random one. Raises Conflict, InvalidRequest."""
        return await self._chapters.create(values)

    async def update_chapter(self, id: UUID, changes: Mapping[str, Any]) -> Chapter:
        """Change the named columns. Raises NotFound, InvalidRequest."""
        return await self._chapters.update(id, changes)

    async def delete_chapter(self, id: UUID) -> Chapter:
        """Mark a chapter as deleted. Raises NotFound."""
        return await self._chapters.delete(id)
