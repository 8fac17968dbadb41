"""JSON where it crosses a border of ours: what a module exits with, the result that the journal keeps, a document."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A JSON object. Within the core values are frozen dataclasses: they become one of these last."""
