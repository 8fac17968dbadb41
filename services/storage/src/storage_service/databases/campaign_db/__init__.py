"""The Campaign Service's database: schema campaign_db."""
