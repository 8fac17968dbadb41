"""How far a phase is."""
