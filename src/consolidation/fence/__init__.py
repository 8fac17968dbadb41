"""Phase fence: the write fence and its probe."""
