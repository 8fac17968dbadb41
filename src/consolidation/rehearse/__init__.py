"""Rehearse: the migration of a copy, into a scratch database beside the target; it measures, and leaves a ticket."""
