"""Figures as an operator reads them."""

from __future__ import annotations

import math

NOTHING = "–"  # noqa: RUF001 - an en dash is how a table shows an empty cell


def count(number: float | None) -> str:
    """20000 -> ``20,000``."""
    return NOTHING if number is None else f"{number:,.0f}"


def size(number_of_bytes: float | None) -> str:
    """Decimal units: 1230000 -> ``1.2 MB``."""
    if number_of_bytes is None:
        return NOTHING
    rest = float(number_of_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if rest < 999.5:
            return f"{rest:.0f} {unit}" if unit == "B" or rest >= 99.95 else f"{rest:.1f} {unit}"
        rest /= 1000
    return f"{rest:,.1f} TB"


def duration(seconds: float | None) -> str:
    """0.34 -> ``340 ms``, 4.21 -> ``4.2 s``, 192 -> ``3 min 12 s``, 7380 -> ``2 h 03 min``."""
    if seconds is None:
        return NOTHING
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def at_most(seconds: float | None) -> str:
    """The same of an upper bound, which is never printed smaller than it is: 4.21 -> ``4.3 s``."""
    if seconds is None:
        return NOTHING
    step = 0.001 if seconds <= 0.999 else 0.1 if seconds <= 59.9 else 1 if seconds < 3600 else 60
    return duration(math.ceil(round(seconds / step, 6)) * step)


def rate(amount: float | None, seconds: float | None) -> float | None:
    """Per second; None where it cannot be said."""
    return amount / seconds if amount is not None and seconds else None


def printable(text: str) -> str:
    """Control characters (a newline in a table's name) as escapes: they must not break the table or the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
