"""Phase report."""
