"""Client of the Storage Service."""
