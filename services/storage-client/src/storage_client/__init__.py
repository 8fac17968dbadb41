"""Client of the Storage Service: `StorageClient` for any table, typed clients for the known databases.

async with StorageClient("http://storage.example:8100", token) as storage:
    campaign = await CampaignDBClient(storage).get_campaign(id)
"""

from storage_client._campaigns import Campaign, CampaignDBClient, Chapter
from storage_client._client import Page, Row, StorageClient
from storage_client._images import Image, ImageDBClient, Overlay
from storage_client.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    NotWritten,
    StorageError,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)

__all__ = [
    "Campaign",
    "CampaignDBClient",
    "Chapter",
    "Conflict",
    "Forbidden",
    "Image",
    "ImageDBClient",
    "InvalidRequest",
    "NotFound",
    "NotWritten",
    "Overlay",
    "Page",
    "Row",
    "StorageClient",
    "StorageError",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
]
