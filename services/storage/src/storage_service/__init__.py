"""Serves the schemas of the Storage database to the services that own them."""
