"""What the clients of the services sent and the answers they got: one line of JSON for every write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

MARK = "traffic-"
"""How the token of every record that clients write begins."""
TOKENS = {"campaigns": "name", "chapters": "title", "images": "subtype", "overlays": "type"}
"""Table -> the column with a record's token: the client's own name for it, while the service chooses the key. A write
that happened twice shows as two rows with one token."""
COLUMNS = {
    "campaigns": ("description", "state", "theme_data", "creator_id", "owner_id"),
    "chapters": ("campaign_id", "description", "sequence_number", "content"),
    "images": ("type", "content", "metadata"),
    "overlays": ("image_id", "elements"),
}
"""Table -> the other columns that clients write."""

Kind = Literal["create", "update", "delete"]
Outcome = Literal["acknowledged", "refused", "unknown"]
"""unknown: no answer, or one that does not say whether the write happened."""


@dataclass(frozen=True)
class Operation:
    """One write and the answer the client got. Times in seconds since 1970."""

    service: str
    table: str
    token: str
    kind: Kind
    digest: str
    """Of what the record holds if the write happens."""
    sent: float
    answered: float
    outcome: Outcome
    answer: str
    """The status and what the service calls its problem, or what happened to the connection."""
    id: str | None
    """The record's key, once the client was given it."""

    def line(self) -> str:
        """As the ledger keeps it."""
        return json.dumps(asdict(self)) + "\n"


def read(path: Path) -> list[Operation]:
    """All operations in the order of their answers."""
    with path.open() as lines:
        return [Operation(**json.loads(line)) for line in lines]


def digest(table: str, values: Mapping[str, Any]) -> str:
    """Of the columns that clients write. JSON counts by value: jsonb keeps neither spaces nor the order of keys."""
    written = {column: values[column] for column in COLUMNS[table]}
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
