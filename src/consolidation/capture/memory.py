"""What the journal remembers of a way: up to which mark every table was brought over, and what is to be validated.

Marks are kept *after* the destination's commit, so they never promise too much.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.journal import records
from consolidation.journal.records import Run
from consolidation.model import SOURCE, TARGET
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import dicts, execute, query


@dataclass(frozen=True)
class Figures:
    """What the rounds of a way have done."""

    rounds: int
    keys: int
    rows: int
    last_seconds: float | None
    """Of the last one."""


@dataclass(frozen=True)
class Memory:
    """One way of one run, in the journal."""

    journal: Connection
    """Autocommitting connection to the storage database."""
    run: Run
    to: str

    def opposite(self, journal: Connection) -> Memory:
        """That of the other direction, written through another connection to the storage database."""
        return Memory(journal, self.run, SOURCE if self.to == TARGET else TARGET)

    def now(self) -> str:
        """The journal's clock."""
        return records.now(self.journal)

    def marks(self) -> dict[str, str]:
        """Table -> mark of the origin's capture when the table was last brought over; later changes are noted keys."""
        return dict(self._row().get("marks", {}))

    def figures(self) -> Figures:
        """All rounds so far."""
        row = self._row()
        last = row.get("last_seconds")
        rounds, keys, handled = (int(row.get(name, 0)) for name in ("rounds", "keys", "rows"))
        return Figures(rounds, keys, handled, None if last is None else float(last))

    def remember(self, marks: Mapping[str, str], keys: int, rows: int, seconds: float) -> None:
        """A round was committed on the destination."""
        self._keep(marks, {"rounds": 1, "keys": keys, "rows": rows, "seconds": round(seconds, 3)})

    def begin(self, marks: Mapping[str, str]) -> None:
        """Both sides match, or will match by what is noted from these marks on."""
        self._keep(marks, {"rounds": 0, "keys": 0, "rows": 0, "seconds": None})

    def _keep(self, marks: Mapping[str, str], figures: Json) -> None:
        marked = json.dumps(dict(marks), ensure_ascii=False)
        execute(self.journal, query("capture/remember"), {**self._keys(), "marks": marked, **figures})

    def forget(self, tables: Collection[str]) -> None:
        """Have these tables brought over whole by the next round."""
        statement = (
            "UPDATE consolidation.follow SET marks = marks - %(tables)s::text[]"
            " WHERE run_id = %(run_id)s AND database = %(database)s AND destination = %(destination)s"
        )
        execute(self.journal, statement, {**self._keys(), "tables": list(tables)})

    def to_validate(self) -> list[str]:
        """Statements that validate the foreign keys that stood aside."""
        return list(self._row().get("to_validate", []))

    def remember_to_validate(self, statements: Collection[str]) -> None:
        """These foreign keys are about to be made again, not valid."""
        if statements:
            kept = json.dumps(sorted(statements), ensure_ascii=False)
            execute(self.journal, query("capture/remember_to_validate"), {**self._keys(), "statements": kept})

    def validated(self, statement: str) -> None:
        """One of them is valid again."""
        update = (
            "UPDATE consolidation.follow SET to_validate = to_validate - %(statement)s"
            " WHERE run_id = %(run_id)s AND database = %(database)s AND destination = %(destination)s"
        )
        execute(self.journal, update, {**self._keys(), "statement": statement})

    def validate(self, settings: Settings) -> int:
        """Validate the foreign keys that stood aside, each on its own; how many. Writers and readers go on meanwhile.

        ``settings``: of the destination.
        """
        statements = self.to_validate()
        with session(settings, "validate", autocommit=True) as destination:
            for statement in statements:
                execute(destination, statement)
                self.validated(statement)
        return len(statements)

    def _row(self) -> Json:
        statement = (
            "SELECT * FROM consolidation.follow"
            " WHERE run_id = %(run_id)s AND database = %(database)s AND destination = %(destination)s"
        )
        found = dicts(self.journal, statement, self._keys())
        return found[0] if found else {}

    def _keys(self) -> dict[str, str]:
        return {"run_id": self.run.id, "database": self.run.database, "destination": self.to}
