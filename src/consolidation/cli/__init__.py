"""The command `consolidation`: what a second terminal, a machine and an auditor ask for."""
