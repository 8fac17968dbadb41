"""Pages as JSON text: {"rows": […], "versions": […], "next_cursor": text or null}."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Page:
    """Rows and their versions, each joined already, in the quotes and commas between them."""

    rows: bytes
    versions: str
    next_after: bytes | None
    """The last row, where there are more."""

    @classmethod
    def of_small(cls, found: Any) -> "Page | None":
        """From the statement `page`; None where a row is too large for it."""
        rows, versions, lengths, is_page = found
        if not is_page:
            return None
        if rows is None:
            return cls(b"", "", None)
        content = rows.encode()
        if len(lengths) < 2:
            return cls(content, versions, None)
        last, more = lengths
        content = content[: -more - 1]
        return cls(content, versions.rpartition('","')[0], content[-last:])

    @classmethod
    def of(cls, rows: Sequence[Any], *, more: bool = False) -> "Page":
        """Rows as (JSON, version)."""
        texts = [row[0] for row in rows]
        versions = '","'.join([row[1] for row in rows])
        return cls(",".join(texts).encode(), versions, texts[-1].encode() if more else None)

    def text(self, next_cursor: bytes = b"null") -> bytes:
        """The whole; next_cursor as JSON."""
        versions = f'"{self.versions}"'.encode() if self.versions else b""
        return b'{"rows":[%b],"versions":[%b],"next_cursor":%b}' % (self.rows, versions, next_cursor)
