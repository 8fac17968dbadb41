"""Phase rollback: reconcile, restore, abandon."""
