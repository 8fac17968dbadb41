"""Rows as they are returned: dicts that know their version; typed ones have their columns as attributes too."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypedDict, TypeVar, get_type_hints
from uuid import UUID

import msgspec

from storage_client import _json
from storage_client.errors import UnexpectedAnswer

_INFINITIES = {
    "infinity": datetime.max.replace(tzinfo=UTC),
    "-infinity": datetime.min.replace(tzinfo=UTC),
}


class Row(dict[str, Any]):
    """A row: {column: value}. UUIDs and timestamps as text, fractions as Decimal."""

    __slots__ = ("idempotency_key", "version")

    version: str | None
    """Changes with every write; give it to `if_version` of an update to change only what was read."""
    idempotency_key: str | None
    """Of the write that returned this row, None for a row that was read."""

    def __getattr__(self, name: str) -> Any:
        if name in Row.__slots__:  # of a row that was not answered
            return None
        raise AttributeError(f"{type(self).__name__} has no column {name}")


class Record(Row):
    """A row of a known table: UUID and datetime values, every column also an attribute.

    PostgreSQL's ±infinity are Python's greatest and least datetime.
    """

    __slots__ = ()

    id: UUID
    created_at: datetime
    updated_at: datetime
    is_deleted: bool
    deleted_at: datetime | None

    def __getattr__(self, name: str) -> Any:
        return self[name] if name in self else super().__getattr__(name)


@dataclass(frozen=True)
class Page:
    """Some rows, and where the next ones begin (None: these were the last)."""

    rows: list[Any]
    next_cursor: str | None


AnyRow = TypeVar("AnyRow", bound=Row)


class Reader(Generic[AnyRow]):
    """Decodes answers into rows of one kind: `Row`, or a `Record` whose annotations are a table's columns."""

    def __init__(self, kind: type[AnyRow]) -> None:
        self.kind = kind
        hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in Row.__slots__}
        self._timestamps = [name for name, hint in hints.items() if hint in {datetime, datetime | None}]
        columns: Any = TypedDict(kind.__name__, hints) if hints else dict[str, Any]  # type: ignore[operator]
        page = msgspec.defstruct(
            "Page", [("rows", list[columns]), ("versions", list[str]), ("next_cursor", str | None, None)]
        )
        self._columns = columns
        self._row = msgspec.json.Decoder(columns, float_hook=_json.fraction)
        self._page = msgspec.json.Decoder(page, float_hook=_json.fraction)
        self._page_type = page

    def row(self, content: bytes, version: str | None, key: str | None = None) -> AnyRow:
        """The row in an answer. Raises UnexpectedAnswer."""
        try:
            row = self.kind(self._row.decode(content))
        except (msgspec.MsgspecError, RecursionError, ValueError):
            row = self.kind(self._converted(self._finite(self._loads(content)), self._columns))
        row.version, row.idempotency_key = version, key
        return row

    def page(self, content: bytes, key: str | None = None) -> Page:
        """The page in an answer. Raises UnexpectedAnswer."""
        try:
            page: Any = self._page.decode(content)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            values = self._loads(content)
            if isinstance(values, dict) and isinstance(values.get("rows"), list):
                values["rows"] = [self._finite(row) for row in values["rows"]]
            page = self._converted(values, self._page_type)
        if len(page.rows) != len(page.versions):
            raise UnexpectedAnswer("the Storage Service's answer is not a page")
        rows = [*map(self.kind, page.rows)]
        for row, version in zip(rows, page.versions, strict=True):
            row.version, row.idempotency_key = version, key
        return Page(rows, page.next_cursor)

    def _loads(self, content: bytes) -> Any:
        try:
            return _json.loads(content)
        except ValueError:
            raise UnexpectedAnswer("the Storage Service's answer is not JSON") from None

    def _finite(self, row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        return row | {
            name: _INFINITIES.get(row[name], row[name]) for name in self._timestamps if isinstance(row.get(name), str)
        }

    def _converted(self, values: Any, kind: Any) -> Any:
        try:
            return msgspec.convert(values, kind)
        except msgspec.ValidationError as error:
            # The message names types and a place, no values.
            raise UnexpectedAnswer(f"a row does not fit {self.kind.__name__} of this client: {error}") from None
