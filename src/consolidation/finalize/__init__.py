"""Finalize: days after the migration, the source is archived, retired and dropped."""
