"""The services' configuration, release and smoke test."""
