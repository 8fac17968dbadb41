"""Phase backup: dump, manifest, restore drill."""
