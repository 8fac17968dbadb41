"""The Image Service's database: schema image_db."""
