"""Modes: how a database's rows get to their schema, one value for each way."""
