"""JSON values as the text that was sent: no number passes through a float, no key order or duplicate key is lost."""

import json
import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_WHITESPACE = " \t\n\r"
_TOKEN = re.compile(
    r'[ \t\n\r]*([{}\[\],:]|"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"
)


@dataclass(frozen=True)
class RawJson:
    """The text of one valid JSON value. In OpenAPI: any value."""

    text: str

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {}


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


# Numbers stay text here: only where a value begins and ends matters.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)


def split_object(body: bytes) -> Any:
    """The members of a JSON object as {name: RawJson}; any other JSON value as it is parsed.

    Raises json.JSONDecodeError for what is not JSON or has a member twice, UnicodeDecodeError for what is not UTF-8.
    """
    text = body.decode("utf-8")
    start = _skip(text, 0)
    if not text.startswith("{", start):
        value, end = _value(text, start)
        if (rest := _skip(text, end)) != len(text):
            raise json.JSONDecodeError("text after the value", text, rest)
        return value
    members: dict[str, RawJson] = {}
    position = _skip(text, start + 1)
    more = not text.startswith("}", position)
    while more:
        if not text.startswith('"', position):
            raise json.JSONDecodeError("a member's name must be a string", text, position)
        name, position = _value(text, position)
        if name in members:
            raise json.JSONDecodeError("a member is there twice", text, position)
        begin = _skip(text, _expect(":", text, _skip(text, position)))
        _, end = _value(text, begin)
        members[name] = RawJson(text[begin:end])
        position = _skip(text, end)
        more = not text.startswith("}", position)
        if more:
            position = _skip(text, _expect(",", text, position))
    if (end := _skip(text, position + 1)) != len(text):
        raise json.JSONDecodeError("text after the object", text, end)
    return members


def _value(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        return None, end_of_value(text, position)
    except ValueError as error:
        raise json.JSONDecodeError(f"{error} is not JSON", text, position) from error


def end_of_value(text: str, position: int) -> int:
    """Where the JSON value that begins at `position` ends, however deep it is. Raises json.JSONDecodeError."""
    open_ones: list[str] = []
    # What may come next, and whether the innermost container may end here.
    wants, may_end = "value", False
    while True:
        if (found := _TOKEN.match(text, position)) is None:
            raise json.JSONDecodeError("not JSON", text, position)
        piece, position = found[1], found.end()
        inside = open_ones[-1] if open_ones else ""
        if may_end and piece == {"{": "}", "[": "]"}.get(inside):
            open_ones.pop()
            wants, may_end = "comma", True
        elif wants == "comma" and piece == ",":
            wants, may_end = ("name" if inside == "{" else "value"), False
        elif wants == "name" and piece[0] == '"':
            wants, may_end = "colon", False
        elif wants == "colon" and piece == ":":
            wants, may_end = "value", False
        elif wants == "value" and piece in "{[":
            open_ones.append(piece)
            wants, may_end = ("name" if piece == "{" else "value"), True
        elif wants == "value" and piece not in "}],:":
            wants, may_end = "comma", True
        else:
            raise json.JSONDecodeError("not JSON", text, position)
        if not open_ones:
            return position


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _WHITESPACE:
        position += 1
    return position


def _expect(character: str, text: str, position: int) -> int:
    if not text.startswith(character, position):
        raise json.JSONDecodeError(f"expected {character}", text, position)
    return position + 1
