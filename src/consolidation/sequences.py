"""Which sequence of the source is which of the target."""

from __future__ import annotations

from collections.abc import Iterable

from consolidation.catalog import Sequence


def pairs(source: Iterable[Sequence], target: Iterable[Sequence]) -> tuple[tuple[Sequence, Sequence], ...]:
    """Sequences that belong together: by the table and column that own them, otherwise by name."""
    by_key = {_key(sequence): sequence for sequence in target}
    return tuple((sequence, by_key[_key(sequence)]) for sequence in source if _key(sequence) in by_key)


def next_value(sequence: Sequence) -> int:
    """What the next nextval() returns."""
    return sequence.last_value + (sequence.increment if sequence.is_called else 0)


def is_behind(sequence: Sequence, other: Sequence) -> bool:
    """Whether ``sequence`` would hand out values that ``other`` has handed out already."""
    direction = 1 if other.increment > 0 else -1
    return next_value(sequence) * direction < next_value(other) * direction


def _key(sequence: Sequence) -> tuple[str | None, str | None]:
    return (sequence.table, sequence.column) if sequence.table else (None, sequence.name)
