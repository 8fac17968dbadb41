"""Numbers keep their digits on the way through the client."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_client import _json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_comes_back_as_it_went(value: Any) -> None:
    for printed in (_json.dumps(value), "".join(_json._print(value)).encode()):
        assert _json.loads(printed) == _json._parse(printed.decode()) == value
        json.loads(printed)


@pytest.mark.parametrize("text", ["1.00", "-0.0", "12345678901234567890.123456789012345678901234567890", "9" * 5000])
def test_digits_stay(text: str) -> None:
    assert _json.dumps(_json.loads(text.encode())).decode() == text


@pytest.mark.parametrize("depth", [400, 990, 5000])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_documents_may_be_as_deep_as_postgresql_takes_them(depth: int, begin: str, end: str) -> None:
    text = begin * depth + "1.10" + end * depth
    assert _json.dumps(_json.loads(text.encode())).decode() == text


def test_exponent_beyond_every_limit_spoils_nothing() -> None:
    text = b"[1e99999999999999999999, 1.5]"
    assert _json.loads(text) == _json._parse(text.decode()) == ["1e99999999999999999999", Decimal("1.5")]


def test_lone_surrogates_survive() -> None:
    assert _json.loads(b'["\\ud800", 1.0]') == ["\ud800", Decimal("1.0")]
    assert _json.loads(_json.dumps({"\ud800": "\udfff"})) == {"\ud800": "\udfff"}


@given(st.text('{}[]":,0123456789.eE+-tfn \\u', max_size=30))
def test_slow_way_takes_what_pythons_parser_takes(text: str) -> None:
    try:
        expected: Any = json.loads(text, parse_float=Decimal)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - any of JSON's and Unicode's errors
            _json._parse(text)
    else:
        assert _json._parse(text) == expected


def test_uuid_and_timestamp_are_text() -> None:
    value = {"id": UUID(int=1), "at": datetime(2026, 1, 2, 3, 4, 5, 6, UTC)}
    assert _json.dumps(value) == b'{"id":"00000000-0000-0000-0000-000000000001","at":"2026-01-02T03:04:05.000006Z"}'


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), Decimal("NaN"), [Decimal("-Infinity")], {"a": object()}, {"a": {float("nan")}}],
)
def test_what_json_has_not_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        _json.dumps(value)
