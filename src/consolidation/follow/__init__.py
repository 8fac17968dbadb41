"""Phase follow: rounds that bring the noted rows over, until the change-over."""
