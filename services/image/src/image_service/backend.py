"""Where images are kept; each release carries the libraries of one backend only, so imports come with the choice."""

from service_common.reference.backend import Backend, Records, RemoteConfig, ServiceSettings


def open_backend(settings: ServiceSettings) -> Backend:
    """The backend that the configuration names. Raises ConfigError."""
    if isinstance(settings.database, RemoteConfig):
        return _remote(settings, settings.database.schema_name)
    from service_common.reference.direct import DirectBackend  # noqa: PLC0415 - only in releases with SQLAlchemy and asyncpg

    from image_service.tables import metadata  # noqa: PLC0415 - as above

    order_by = {"images": "created_at", "overlays": "created_at"}
    return DirectBackend(settings.database, "image_service", metadata, order_by)


def _remote(settings: ServiceSettings, database: str) -> Backend:
    from service_common.reference.remote import RemoteBackend, open_client  # noqa: PLC0415 - only in releases with storage-client
    from storage_client import ImageDBClient  # noqa: PLC0415 - as above

    client = open_client(settings.storage)
    db = ImageDBClient(client, database)
    records = {
        "images": Records(db.get_image, db.list_images, db.create_image, db.update_image, db.delete_image),
        "overlays": Records(db.get_overlay, db.list_overlays, db.create_overlay, db.update_overlay, db.delete_overlay),
    }
    return RemoteBackend(client, records)
