"""The served tables of image_db."""

from storage_service.databases.image_db.models import Image, Overlay
from storage_service.db.schemas import table_schemas

TABLES = (table_schemas(Image), table_schemas(Overlay))
