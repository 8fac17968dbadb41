"""JSON with exact numbers: fractions are Decimal on the way in and keep their digits on the way out."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

# Python refuses to parse integers of more than 4300 digits.
_MAX_INT_DIGITS = 4000


def loads(text: str | bytes) -> Any:
    """Parse JSON; numbers with a fraction or an exponent become Decimal. Raises ValueError."""
    return json.loads(text, parse_float=Decimal, parse_int=_integer)


def dumps(value: Any) -> str:
    """Print as JSON; Decimal as a number, UUID and datetime as text. Raises TypeError, ValueError."""
    match value:
        case Decimal() if value.is_finite():
            return str(value)
        case Decimal():
            raise ValueError("JSON has no NaN and no infinity")
        case UUID():
            return f'"{value}"'
        case datetime():
            return f'"{value.isoformat()}"'
        case Mapping():
            return "{" + ",".join(f"{_name(name)}:{dumps(member)}" for name, member in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(dumps, value)) + "]"
        case _:
            return json.dumps(value, allow_nan=False)


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the names in a JSON object are text, not {type(name).__name__}")
    return json.dumps(name)


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _MAX_INT_DIGITS else Decimal(text)
