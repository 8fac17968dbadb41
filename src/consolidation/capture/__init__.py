"""Phase capture: triggers that note the keys of the rows that change."""
