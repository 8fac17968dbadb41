"""Phase verify."""
