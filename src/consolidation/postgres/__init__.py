"""One PostgreSQL server: connections, statements, catalogs, locks, snapshots. Knows nothing of runs."""
