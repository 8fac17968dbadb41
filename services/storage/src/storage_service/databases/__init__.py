"""The databases, one package each, named like its schema and its Alembic lineage.

A package with `schemas.py` can be served; which ones are served is a matter of the configuration.
"""
