"""Splitting an object keeps the text of every member."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_service.db.columns import members_of
from storage_service.db.exact_json import RawJson, end_of_value, split_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
SPACE = st.text(" \t\r\n", max_size=3)


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.sampled_from([None, 2]), st.booleans(), SPACE)
def test_members_are_the_texts_between_the_separators(
    members: dict[str, object], indent: int | None, ascii_only: bool, space: str
) -> None:
    texts = {name: json.dumps(value, indent=indent, ensure_ascii=ascii_only) for name, value in members.items()}
    inside = ",".join(f"{space}{json.dumps(name)}{space}:{space}{text}{space}" for name, text in texts.items())
    body = f"{space}{{{inside}{space}}}{space}".encode(errors="surrogatepass")
    assert split_object(body) == {name: RawJson(text) for name, text in texts.items()}


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.sampled_from([None, 2]), st.booleans())
def test_fast_way_gives_the_same_members_or_none(members: dict[str, object], indent: int | None, ascii: bool) -> None:
    body = json.dumps(members, indent=indent, ensure_ascii=ascii, separators=(",", ":")).encode(errors="surrogatepass")
    try:
        found = members_of(body)
    except ValueError:
        assert indent or any(not name.isascii() or json.dumps(name)[1:-1] != name for name in members) or not members
    else:
        assert {name: bytes(raw).decode() for name, raw in found.items()} == {
            name: raw.text for name, raw in split_object(body).items()
        }


@given(st.text('{}[]":,0123456789.eE+-tfn \\u\x0b', max_size=40))
def test_fast_way_takes_nothing_that_the_slow_one_refuses(text: str) -> None:
    for body in (text.encode(), b'{"a":' + text.encode() + b"}", b'{"a":1,' + text.encode() + b"}"):
        try:
            found = members_of(body)
        except ValueError:
            continue
        assert {name: bytes(raw).decode() for name, raw in found.items()} == {
            name: raw.text for name, raw in split_object(body).items()
        }


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b'{"a": 1}', b'{"\\u0061":1}', b"[]", b"5", b'{"\xc3\xa9":1}'])
def test_fast_way_leaves_to_the_slow_one_what_is_not_plain(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any
        members_of(body)


@given(VALUES, st.sampled_from(["", " ", ",", "}", "]"]))
def test_end_of_a_value_is_found_without_recursion(value: object, behind: str) -> None:
    text = json.dumps(value)
    assert end_of_value(text + behind, 0) == len(text)


@pytest.mark.parametrize("text", ["[", "[1", "[1,]", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", "[}", "", "01x", '"\\q"'])
def test_end_of_what_is_no_value_is_not_found(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(text[: end_of_value(text, 0)] + ("" if text != "01x" else "x"))


def test_members_may_be_as_deep_as_postgresql_takes_them() -> None:
    deep = "[" * 5000 + "]" * 5000
    assert split_object(f'{{"a": {deep}, "b": 1}}'.encode()) == {"a": RawJson(deep), "b": RawJson("1")}


@given(st.text('{}[]":,0123456789.eE+-tfn \\u', max_size=30))
def test_refuses_what_is_not_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - any of JSON's and Unicode's errors
            split_object(text.encode())


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": -Infinity}', "NaN", "{} x", '{"a": 1,}'])
def test_refuses_what_json_does_not_allow_and_twice_the_same_member(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        split_object(text.encode())
