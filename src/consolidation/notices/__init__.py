"""How others are notified of a run: hooks of the inventory, and metrics."""
