"""The served databases, one package each, named like its schema."""
