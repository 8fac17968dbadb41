"""The core of the storage consolidation runbook: every decision, and no Ansible import."""

__version__ = "0.1.0"
