"""The Image database: records and typed client."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from storage_client._client import StorageClient
from storage_client._rows import Reader, Record


class Image(Record):
    """A row of images."""

    __slots__ = ()

    type: str
    subtype: str
    content: Any
    metadata: Any
    overlays: Any
    references: Any


class Overlay(Record):
    """A row of overlays."""

    __slots__ = ()

    image_id: UUID
    type: str
    elements: Any


_IMAGES = Reader(Image)
_OVERLAYS = Reader(Overlay)


class ImageDBClient:
    """Reads and writes the Image Service's records. Deleted records are not found.

    A write that was given an `id` and an `idempotency_key` may be repeated with both: it happens once.
    """

    def __init__(self, storage: StorageClient, database: str = "image_db") -> None:
        self._images = storage.table(database, "images", _IMAGES)
        self._overlays = storage.table(database, "overlays", _OVERLAYS)

    async def get_image(self, id: UUID) -> Image | None:
        """An image, or None."""
        return await self._images.get(id)

    async def get_many_images(self, ids: Iterable[UUID]) -> list[Image]:
        """The images with these ids that are there, in the order of their ids."""
        return await self._images.get_many(ids)

    async def list_images(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = ("created_at",),
        limit: int | None = 100,
    ) -> list[Image]:
        """Images that equal `filters`; at most `limit`, None for all."""
        return await self._images.live(filters, order_by, limit)

    async def create_image(self, values: Mapping[str, Any], *, idempotency_key: str | None = None) -> Image:
        """Create an image; without an `id` it gets a random one. Raises Conflict, InvalidRequest."""
        return await self._images.create(values, idempotency_key)

    async def create_images(
        self, rows: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Image]:
        """Create up to 1,000 images that name the same columns: all or none. Raises Conflict, InvalidRequest."""
        return await self._images.create_many(rows, idempotency_key)

    async def update_image(
        self,
        id: UUID,
        changes: Mapping[str, Any],
        *,
        if_version: str | None = None,
        idempotency_key: str | None = None,
    ) -> Image:
        """Change the named columns. Raises NotFound, VersionMismatch, InvalidRequest."""
        return await self._images.update(id, changes, if_version=if_version, key=idempotency_key)

    async def delete_image(
        self, id: UUID, *, if_version: str | None = None, idempotency_key: str | None = None
    ) -> Image:
        """Mark an image as deleted. Raises NotFound, VersionMismatch."""
        return await self._images.delete(id, if_version=if_version, key=idempotency_key)

    async def get_overlays(self, image_id: UUID) -> list[Overlay]:
        """All overlays of an image, by created_at."""
        return await self._overlays.live({"image_id": image_id}, ["created_at"], None)

    async def get_overlay(self, id: UUID) -> Overlay | None:
        """An overlay, or None."""
        return await self._overlays.get(id)

    async def get_many_overlays(self, ids: Iterable[UUID]) -> list[Overlay]:
        """The overlays with these ids that are there, in the order of their ids."""
        return await self._overlays.get_many(ids)

    async def list_overlays(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        order_by: Sequence[str] = ("created_at",),
        limit: int | None = 100,
    ) -> list[Overlay]:
        """Overlays that equal `filters`; at most `limit`, None for all."""
        return await self._overlays.live(filters, order_by, limit)

    async def create_overlay(self, values: Mapping[str, Any], *, idempotency_key: str | None = None) -> Overlay:
        """Create an overlay; without an `id` it gets a random one. Raises Conflict, InvalidRequest."""
        return await self._overlays.create(values, idempotency_key)

    async def create_overlays(
        self, rows: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> list[Overlay]:
        """Create up to 1,000 overlays that name the same columns: all or none. Raises Conflict, InvalidRequest."""
        return await self._overlays.create_many(rows, idempotency_key)

    async def update_overlay(
        self,
        id: UUID,
        changes: Mapping[str, Any],
        *,
        if_version: str | None = None,
        idempotency_key: str | None = None,
    ) -> Overlay:
        """Change the named columns. Raises NotFound, VersionMismatch, InvalidRequest."""
        return await self._overlays.update(id, changes, if_version=if_version, key=idempotency_key)

    async def delete_overlay(
        self, id: UUID, *, if_version: str | None = None, idempotency_key: str | None = None
    ) -> Overlay:
        """Mark an overlay as deleted. Raises NotFound, VersionMismatch."""
        return await self._overlays.delete(id, if_version=if_version, key=idempotency_key)
