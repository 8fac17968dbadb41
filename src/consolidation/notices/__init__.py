"""What others are told of a run: hooks of the inventory, and metrics."""
