"""Phase preflight."""
