"""Tables that the copy itself reads again, however small they are and however few cores there are."""

from __future__ import annotations

import os

import pytest

from consolidation.copy import rereading
from consolidation.verify.by_row_hash import EARLIER


def allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table, on a runner with cores to spare."""
    monkeypatch.setattr(rereading, "LEAST_BYTES", 0)
    monkeypatch.setattr(rereading, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def proved_earlier(result: dict[str, object]) -> set[str]:
    """Names of the tables that a verification has not read once more."""
    tables = result["tables"]
    assert isinstance(tables, list)
    return {table["name"] for table in tables if table["method"] == EARLIER}
