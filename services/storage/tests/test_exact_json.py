"""Splitting an object keeps the text of every member."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_service.db.exact_json import RawJson, split_object

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
