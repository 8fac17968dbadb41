"""The skeleton of a further database: models, lineage, inventory, out of the source as it is."""
