"""The Image database: records and typed client."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from storage_client._client import StorageClient
from storage_client._records import Record, Records


class Image(Record):
    """A row of images."""

    type: str
    subtype: str
    content: Any
    metadata: Any
    overlays: Any
    references: Any


class Overlay(Record):
    """A row of overlays."""

    image_id: UUID
    type: str
    elements: Any


class ImageDBClient:
    """Reads and writes the Image Service's records. Deleted records are not found."""

    def __init__(self, storage: StorageClient, database: str = "image_db") -> None:
        self._images = Records(storage, database, "images", Image)
        self._overlays = Records(storage, database, "overlays", Overlay)

    async def get_image(self, id: UUID) -> Image | None:
        """An image, or None."""
        return await self._images.get(id)

    async def list_images(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = ("created_at",),
        limit: int | None = 100,
    ) -> list[Image]:
        """Images that equal `filters`; at most `limit`, None for all."""
        return await self._images.list(filters, order_by, limit)

    async def create_image(self, values: Mapping[str, Any]) -> Image:
        """Create an image; without an `id` it gets a random one. Raises Conflict, InvalidRequest."""
        return await self._images.create(values)

    async def update_image(self, id: UUID, changes: Mapping[str, Any]) -> Image:
        """Change the named columns. Raises NotFound, InvalidRequest."""
        return await self._images.update(id, changes)

    async def delete_image(self, id: UUID) -> Image:
        """Mark an image as deleted. Raises NotFound."""
        return await self._images.delete(id)

    async def get_overlays(self, image_id: UUID) -> list[Overlay]:
        """All overlays of an image, by created_at."""
        return await self._overlays.list({"image_id": image_id}, ["created_at"], None)

    async def get_overlay(self, id: UUID) -> Overlay | None:
        """An overlay, or None."""
        return await self._overlays.get(id)

    async def list_overlays(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = ("created_at",),
        limit: int | None = 100,
    ) -> list[Overlay]:
        """Overlays that equal `filters`; at most `limit`, None for all."""
        return await self._overlays.list(filters, order_by, limit)

    async def create_overlay(self, values: Mapping[str, Any]) -> Overlay:
        """Create an overlay; without an `id` it gets a random one. Raises Conflict, InvalidRequest."""
        return await self._overlays.create(values)

    async def update_overlay(self, id: UUID, changes: Mapping[str, Any]) -> Overlay:
        """Change the named columns. Raises NotFound, InvalidRequest."""
        return await self._overlays.update(id, changes)

    async def delete_overlay(self, id: UUID) -> Overlay:
        """Mark an overlay as deleted. Raises NotFound."""
        return await self._overlays.delete(id)
