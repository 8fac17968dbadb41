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
    printed = _json.dumps(value)
    assert _json.loads(printed) == value
    json.loads(printed)


@pytest.mark.parametrize("text", ["1.00", "-0.0", "12345678901234567890.123456789012345678901234567890", "9" * 5000])
def test_digits_stay(text: str) -> None:
    assert _json.dumps(_json.loads(text)) == text


def test_uuid_and_timestamp_are_text() -> None:
    value = {"id": UUID(int=1), "at": datetime(2026, 1, 2, 3, 4, 5, 6, UTC)}
    assert _json.dumps(value) == '{"id":"00000000-0000-0000-0000-000000000001","at":"2026-01-02T03:04:05.000006+00:00"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), {1: 2}, {"a": object()}])
def test_what_json_has_not_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        _json.dumps(value)
