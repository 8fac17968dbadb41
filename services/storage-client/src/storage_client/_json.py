"""JSON with exact numbers: fractions are Decimal on the way in and keep their digits on the way out.

msgspec does it; what it cannot (lone surrogates, endless integers, documents nested as deep as PostgreSQL takes them)
goes the slow way, which uses no recursion.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from json.decoder import scanstring  # type: ignore[attr-defined]  # the stubs do not have it
from typing import Any
from uuid import UUID

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_WORDS = {"true": True, "false": False, "null": None}


def fraction(text: str) -> Decimal | str:
    """A number with a fraction or an exponent; its text where the exponent is one that Decimal has not."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


_DECODER = msgspec.json.Decoder(float_hook=fraction)
_FAILURES = (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError, OverflowError)
# Python refuses to parse integers of more than 4300 digits.
_MAX_INT_DIGITS = 4000
_TOKEN = re.compile(
    r'[ \t\n\r]*(?:([{}\[\],:])|(")|(-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?)|(true|false|null))'
)


def loads(content: bytes) -> Any:
    """Parse JSON; numbers with a fraction or an exponent become Decimal. Raises ValueError."""
    try:
        return _DECODER.decode(content)
    except _FAILURES:
        return _parse(content.decode("utf-8"))


def dumps(value: Any) -> bytes:
    """Print as JSON; Decimal as a number, UUID and datetime as text. Raises TypeError, ValueError."""
    try:
        printed = _ENCODER.encode(value)
    except (RecursionError, UnicodeEncodeError, OverflowError, ValueError):
        return "".join(_print(value)).encode()
    # msgspec prints NaN and the infinities as null, or as they are.
    if b"null" in printed or b"NaN" in printed or b"Infinity" in printed:
        _require_finite(value)
    return printed


def _require_finite(value: Any) -> None:
    left = [value]
    while left:
        match left.pop():
            case float() as number if not math.isfinite(number):
                raise ValueError("JSON has no NaN and no infinity")
            case Decimal() as number if not number.is_finite():
                raise ValueError("JSON has no NaN and no infinity")
            case Mapping() as members:
                left += members.values()
            case list() | tuple() | set() | frozenset() as members:
                left += members


def _print(value: Any) -> Iterator[str]:
    """The same without recursion."""
    _require_finite(value)
    # Containers under way: what is left of each, and how it ends.
    open_ones: list[tuple[Iterator[Any], str]] = [(iter([value]), "")]
    first = True
    while open_ones:
        rest, end = open_ones[-1]
        try:
            item = next(rest)
        except StopIteration:
            open_ones.pop()
            first = False
            yield end
            continue
        if not first:
            yield ","
        first = False
        if end == "}":
            name, item = item
            if not isinstance(name, str):
                raise TypeError(f"the names in a JSON object are text, not {type(name).__name__}")
            yield json.dumps(name) + ":"
        match item:
            case Mapping():
                yield "{"
                open_ones.append((iter(item.items()), "}"))
                first = True
            case list() | tuple():
                yield "["
                open_ones.append((iter(item), "]"))
                first = True
            case Decimal():
                yield str(item)
            case UUID() | datetime():
                yield f'"{item}"' if isinstance(item, UUID) else f'"{item.isoformat()}"'
            case _:
                yield json.dumps(item, allow_nan=False)


def _parse(text: str) -> Any:
    """The same as `loads` without recursion."""
    parser, position = _Parser(), 0
    while not parser.complete:
        if (found := _TOKEN.match(text, position)) is None or not parser.take(found):
            raise json.JSONDecodeError("not JSON", text, position)
        position = parser.position
    if text[position:].strip(" \t\n\r"):
        raise json.JSONDecodeError("text after the value", text, position)
    return parser.result[0]


class _Parser:
    """Puts a value together, token by token: a stack of the containers that are open."""

    def __init__(self) -> None:
        self.result: list[Any] = []
        self.position = 0
        self._open: list[Any] = [self.result]
        self._names: list[str] = []
        self._wants = "value"
        self._may_end = False

    @property
    def complete(self) -> bool:
        return bool(self.result) and len(self._open) == 1

    def take(self, token: re.Match[str]) -> bool:
        """Whether the token may stand here."""
        self.position = token.end()
        inside, may_end = self._open[-1], self._may_end
        in_object = isinstance(inside, dict)
        self._may_end = False
        match self._wants, token[1]:
            case _, "}" | "]" if may_end and in_object == (token[1] == "}"):
                self._open.pop()
                self._wants, self._may_end = "comma", True
            case "comma", ",":
                self._wants = "name" if in_object else "value"
            case "colon", ":":
                self._wants = "value"
            case "name", None if token[2]:
                name, self.position = scanstring(token.string, self.position)
                self._names.append(name)
                self._wants = "colon"
            case "value", "{" | "[" | None:
                self._put(self._value(token))
            case _:
                return False
        return True

    def _value(self, token: re.Match[str]) -> Any:
        if token[1]:
            return {} if token[1] == "{" else []
        if token[2]:
            value, self.position = scanstring(token.string, self.position)
            return value
        if token[3]:
            inexact = token[4] or token[5] or len(token[3]) > _MAX_INT_DIGITS
            return fraction(token[3]) if inexact else int(token[3])
        return _WORDS[token[6]]

    def _put(self, value: Any) -> None:
        inside = self._open[-1]
        if isinstance(inside, dict):
            inside[self._names.pop()] = value
        else:
            inside.append(value)
        self._wants, self._may_end = "comma", inside is not self.result
        if isinstance(value, dict | list):
            self._open.append(value)
            self._wants, self._may_end = ("name" if isinstance(value, dict) else "value"), True
