"""Phase cutover."""
