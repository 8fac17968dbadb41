"""What the operator's terminal shows of a run."""
