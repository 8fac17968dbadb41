"""Where campaigns are kept; each release carries the libraries of one backend only, so imports come with the choice."""

from service_common.reference.backend import Backend, Records, RemoteConfig, ServiceSettings


def open_backend(settings: ServiceSettings) -> Backend:
    """The backend that the configuration names. Raises ConfigError."""
    if isinstance(settings.database, RemoteConfig):
        return _remote(settings, settings.database.schema_name)
    from service_common.reference.direct import DirectBackend  # noqa: PLC0415 - only in releases with SQLAlchemy and asyncpg

    from campaign_service.tables import metadata  # noqa: PLC0415 - as above

    order_by = {"campaigns": "created_at", "chapters": "sequence_number"}
    return DirectBackend(settings.database, "campaign_service", metadata, order_by)


def _remote(settings: ServiceSettings, database: str) -> Backend:
    from service_common.reference.remote import RemoteBackend, open_client  # noqa: PLC0415 - only in releases with storage-client
    from storage_client import CampaignDBClient  # noqa: PLC0415 - as above

    client = open_client(settings.storage)
    db = CampaignDBClient(client, database)
    records = {
        "campaigns": Records(
            db.get_campaign, db.list_campaigns, db.create_campaign, db.update_campaign, db.delete_campaign
        ),
        "chapters": Records(db.get_chapter, db.list_chapters, db.create_chapter, db.update_chapter, db.delete_chapter),
    }
    return RemoteBackend(client, records)
