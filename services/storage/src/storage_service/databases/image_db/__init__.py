"""The Image Service's database: schema image_db."""

HEAD = "image_db_0003"
"""The revision that the models are at."""
