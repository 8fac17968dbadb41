"""What was done, in the storage database itself: runs, phases, results."""
