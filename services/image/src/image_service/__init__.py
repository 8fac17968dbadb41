"""Reference Image Service."""
