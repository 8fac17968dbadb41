"""Serves the schemas of the storage database to the services that own them."""
