"""The Storage Service's own schema: storage_service. Not served, not migrated, not compared."""
