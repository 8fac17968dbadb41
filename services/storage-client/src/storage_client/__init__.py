"""Client of the Storage Service: `StorageClient` for any table, typed clients for the known databases.

async with StorageClient("https://storage.example:8100", token, ca_file="ca.crt") as storage:
    campaign = await CampaignDBClient(storage).get_campaign(id)
"""

from storage_client._campaigns import Campaign, CampaignDBClient, Chapter
from storage_client._client import StorageClient
from storage_client._images import Image, ImageDBClient, Overlay
from storage_client._rows import Page, Reader, Record, Row
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
    VersionMismatch,
)
from storage_client.transport import NoAnswer, Request, Response, Transport

__all__ = [
    "Campaign",
    "CampaignDBClient",
    "Chapter",
    "Conflict",
    "Forbidden",
    "Image",
    "ImageDBClient",
    "InvalidRequest",
    "NoAnswer",
    "NotFound",
    "NotWritten",
    "Overlay",
    "Page",
    "Reader",
    "Record",
    "Request",
    "Response",
    "Row",
    "StorageClient",
    "StorageError",
    "Transport",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "VersionMismatch",
]
