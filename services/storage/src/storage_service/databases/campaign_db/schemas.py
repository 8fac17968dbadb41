"""The served tables of campaign_db."""

from storage_service.databases.campaign_db.models import Campaign, Chapter
from storage_service.db.schemas import table_schemas

TABLES = (table_schemas(Campaign), table_schemas(Chapter))
