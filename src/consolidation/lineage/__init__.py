"""The Alembic lineages and their models."""
