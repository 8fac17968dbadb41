"""The Campaign Service's database: schema campaign_db."""

HEAD = "campaign_db_0003"
"""The revision that the models are at."""
