"""How two tables are compared by content."""
