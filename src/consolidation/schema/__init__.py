"""Phase schema: lineages to their heads, grants."""
