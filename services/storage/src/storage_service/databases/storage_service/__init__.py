"""The Storage Service's own schema: storage_service. Not served, not migrated, not compared."""

HEAD = "storage_service_0001"
"""The revision that the models are at."""
