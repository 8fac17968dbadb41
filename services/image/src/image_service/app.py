"""The Image Service: images and their overlays."""

from typing import Any
from uuid import UUID

from fastapi import FastAPI
from pydantic import Field
from service_common.reference.backend import ServiceSettings
from service_common.reference.resource import Changes, NewRecord, add_children, add_resource, reference_app

from image_service.backend import open_backend


class ImageChanges(Changes):
    type: str = Field(default="", max_length=50)
    subtype: str = Field(default="", max_length=50)
    content: Any = None
    metadata: Any = None
    overlays: Any = None
    references: Any = None


class NewImage(NewRecord, ImageChanges):
    type: str = Field(max_length=50)
    subtype: str = Field(max_length=50)
    content: Any
    metadata: Any


class OverlayChanges(Changes):
    image_id: UUID = UUID(int=0)
    type: str = Field(default="", max_length=50)
    elements: Any = None


class NewOverlay(NewRecord, OverlayChanges):
    image_id: UUID
    type: str = Field(max_length=50)
    elements: Any


def create_app(settings: ServiceSettings) -> FastAPI:
    """The Image Service on the backend that the configuration names."""
    backend = open_backend(settings)
    app = reference_app("Image Service", settings, backend)
    add_resource(app, "/images", backend.records["images"], NewImage, ImageChanges)
    add_resource(app, "/overlays", backend.records["overlays"], NewOverlay, OverlayChanges)
    add_children(app, "/images/{id}/overlays", backend.records["overlays"], "image_id")
    return app
