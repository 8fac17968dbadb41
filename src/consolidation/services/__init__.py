"""The services' configuration, release and proof."""
