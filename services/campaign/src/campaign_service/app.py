"""The Campaign Service: campaigns and their chapters."""

from typing import Any
from uuid import UUID

from fastapi import FastAPI
from pydantic import Field
from service_common.reference.backend import ServiceSettings
from service_common.reference.resource import Changes, NewRecord, add_children, add_resource, reference_app

from campaign_service.backend import open_backend


class CampaignChanges(Changes):
    name: str = Field(default="", max_length=255)
    description: str | None = None
    campaign_type: str = Field(default="traditional", max_length=50)
    state: str = Field(default="draft", max_length=50)
    theme_id: UUID | None = None
    theme_data: Any = None
    campaign_metadata: Any = None
    creator_id: UUID = UUID(int=0)
    owner_id: UUID = UUID(int=0)


class NewCampaign(NewRecord, CampaignChanges):
    name: str = Field(max_length=255)
    creator_id: UUID
    owner_id: UUID


class ChapterChanges(Changes):
    campaign_id: UUID | None = None
    title: str = Field(default="", max_length=255)
    description: str | None = None
    chapter_type: str = Field(default="story", max_length=50)
    state: str = Field(default="draft", max_length=50)
    sequence_number: int = Field(default=0, ge=-(2**31), lt=2**31)
    content: Any = None
    chapter_metadata: Any = None
    prerequisites: Any = None


class NewChapter(NewRecord, ChapterChanges):
    title: str = Field(max_length=255)
    sequence_number: int = Field(ge=-(2**31), lt=2**31)


def create_app(settings: ServiceSettings) -> FastAPI:
    """The Campaign Service on the backend that the configuration names."""
    backend = open_backend(settings)
    app = reference_app("Campaign Service", settings, backend)
    add_resource(app, "/campaigns", backend.records["campaigns"], NewCampaign, CampaignChanges)
    add_resource(app, "/chapters", backend.records["chapters"], NewChapter, ChapterChanges)
    add_children(app, "/campaigns/{id}/chapters", backend.records["chapters"], "campaign_id")
    return app
