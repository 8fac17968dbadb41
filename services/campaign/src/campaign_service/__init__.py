"""Reference Campaign Service."""
