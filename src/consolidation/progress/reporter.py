"""How far a long phase has come, reported while it works.

A thread beside the phase looks once a second and writes a file, which the callback plugin ``progress`` and
``python -m consolidation.progress.view FILE`` follow, and every few seconds the journal (``result -> 'progress'`` of
the phase while it runs). Names and figures only, no row data. It has a session of its own and never holds up the phase.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation import files
from consolidation.borders import Json
from consolidation.errors import ConfigurationError
from consolidation.journal.records import Run, latest_run
from consolidation.model import Database
from consolidation.postgres.catalog import Table
from consolidation.postgres.connection import connect
from consolidation.postgres.queries import dicts, execute, query

LOOK_SECONDS = 1.0
JOURNAL_SECONDS = 5.0
COPY_VIEW_VERSION = 140000  # pg_stat_progress_copy

WAITING, COPYING, LOADED, COMPARING, DONE = "waiting", "copying", "rows are in", "comparing", "done"


@dataclass(frozen=True)
class Amount:
    """What is done of one table."""

    table: str
    state: str
    """What happens to it, as the operator reads it."""
    rows: int
    bytes: int
    share: float
    """Of the table's rows, 0 to 1."""
    weight: int
    """Estimated bytes of the whole table."""


@dataclass(frozen=True)
class Pace(Amount):
    """An amount, and how fast it grows."""

    rate: float | None
    """Bytes per second since this process began with the table; None where it cannot be said."""
    eta: float | None
    """Seconds until its rows are done, at that rate."""


@dataclass(frozen=True)
class Progress:
    """All tables of one database in one phase."""

    run_id: str
    database: str
    phase: str
    started_at: float
    """Seconds since the epoch."""
    at: float
    ended: bool
    tables: tuple[Pace, ...]
    total: Pace

    @classmethod
    def from_json(cls, content: Json) -> Progress:
        """The reverse of ``asdict``."""
        tables = tuple(Pace(**table) for table in content["tables"])
        return cls(**{**content, "tables": tables, "total": Pace(**content["total"])})


class Tally:
    """Amounts of a phase that works in this process; its threads add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._amounts: dict[str, Amount] = {}

    def expect(self, table: Table) -> None:
        """A table that will be worked on, from its beginning."""
        with self._lock:
            self._amounts[table.name] = Amount(table.name, WAITING, 0, 0, 0.0, table.table_bytes)

    def begin(self, table: str, state: str) -> None:
        """Work on a table begins; one that was not expected is not counted."""
        with self._lock:
            if table in self._amounts:
                self._amounts[table] = replace(self._amounts[table], state=state)

    def add(self, table: str, rows: float, share: float) -> None:
        """A part of a table is done: ``share`` of the whole."""
        with self._lock:
            if table in self._amounts:
                before = self._amounts[table]
                whole = min(1.0, before.share + share)
                state = DONE if whole > 0.999 else before.state
                moved = round(whole * before.weight)
                self._amounts[table] = replace(
                    before, state=state, rows=before.rows + round(rows), bytes=moved, share=whole
                )

    def amounts(self) -> list[Amount]:
        """As of now."""
        with self._lock:
            return list(self._amounts.values())


def copied(target: Connection, run: Run) -> list[Amount]:
    """Amounts of the copy phase, from the journal's chunks and from the COPYs that the target works on."""
    keys = {"run_id": run.id, "database": run.database}
    # In this order: a chunk that ends between the two is seen in neither, for a second, and never in both.
    chunks = dicts(target, query("progress/chunks"), keys)
    has_view = target.server_version >= COPY_VIEW_VERSION
    running = {row["table"]: row for row in dicts(target, query("progress/running"), keys)} if has_view else {}
    loading = any(row["waiting"] for row in chunks)
    found = []
    for row in chunks:
        now = running.get(row["table"], {"rows": 0, "bytes": 0})
        waiting, done_bytes = row.pop("waiting"), row.pop("done_bytes")
        share = 1.0
        if waiting:
            # An estimate: bytes on disk are not bytes on the wire. Rows under way are never the last ones.
            weight = max(row["weight"], 1)
            share = min(0.99, (done_bytes + min(now["bytes"], waiting)) / weight)
            row["state"] = COPYING if row["rows"] or now["rows"] else WAITING
        elif loading:
            row["state"] = LOADED  # keys and indexes come when all tables are loaded
        found.append(
            Amount(**{**row, "rows": row["rows"] + now["rows"], "bytes": row["bytes"] + now["bytes"], "share": share})
        )
    return found


@contextmanager
def reported(database: Database, phase: str, path: str | None, tally: Tally | None = None) -> Iterator[None]:
    """Tell how far the phase has come as long as the block, which does it, runs. Without a tally it is the copy.

    Raises ConfigurationError when ``path`` cannot be written, ConnectionFailed.
    """
    target = connect(database.target, f"{phase} progress", autocommit=True)
    try:
        teller = _Teller(database, phase, Path(path) if path else None, tally, target)
        teller.write(teller.progress("", [], ended=False))
        thread = threading.Thread(target=teller.run, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            teller.stop.set()
            thread.join()
    finally:
        target.close()


def read(path: Path) -> Progress | None:
    """What a file holds; None where there is none, or not one of ours."""
    try:
        return parse(path.read_bytes())
    except OSError:
        return None


def parse(content: bytes) -> Progress | None:
    """What the content of a file holds; None where it is not one of ours."""
    try:
        return Progress.from_json(json.loads(content))
    except (ValueError, KeyError, TypeError):
        return None


class _Teller:
    """Looks, works out the paces, and reports."""

    def __init__(
        self, database: Database, phase: str, path: Path | None, tally: Tally | None, target: Connection
    ) -> None:
        self.stop = threading.Event()
        self._database, self._phase, self._path, self._tally, self._target = database, phase, path, tally, target
        self._started_at = time.time()
        self._meters: dict[str, _Meter] = {}

    def run(self) -> None:
        """Until ``stop`` is set, and once after that. Ends silently when the server or the disk fails: the phase
        meets that too, and has the better words for it."""
        with suppress(psycopg2.Error, ConfigurationError):
            next_entry = time.monotonic() + JOURNAL_SECONDS
            while not self.stop.wait(LOOK_SECONDS):
                progress = self._looked(ended=False)
                if time.monotonic() >= next_entry:
                    self._enter(progress)
                    next_entry = time.monotonic() + JOURNAL_SECONDS
            self._looked(ended=True)

    def _looked(self, *, ended: bool) -> Progress:
        run = latest_run(self._target, self._database.name)
        amounts = self._tally.amounts() if self._tally else copied(self._target, run) if run else []
        progress = self.progress(run.id if run else "", amounts, ended=ended)
        self.write(progress)
        return progress

    def progress(self, run_id: str, amounts: Iterable[Amount], *, ended: bool) -> Progress:
        """The amounts with their paces."""
        now = time.time()
        tables = tuple(self._meters.setdefault(amount.table, _Meter()).read(amount, now) for amount in amounts)
        total = self._meters.setdefault("", _Meter()).read(_sum(tables), now)
        return Progress(run_id, self._database.name, self._phase, self._started_at, now, ended, tables, total)

    def write(self, progress: Progress) -> None:
        """Replace the file, mode 0600. Raises ConfigurationError."""
        if self._path is None:
            return
        try:
            files.make(self._path.parent)
            files.write(self._path, json.dumps(asdict(progress)), durable=False)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write the progress file {self._path}: {error.strerror}",
                hint="check space, owner and permissions of its folder on the runner",
            ) from error

    def _enter(self, progress: Progress) -> None:
        state = {"at": progress.at, "tables": [asdict(table) for table in progress.tables if table.state != WAITING]}
        parameters = [json.dumps({"progress": state}), progress.run_id, progress.database, progress.phase]
        execute(self._target, query("progress/enter"), parameters)


class _Meter:
    """The pace of one table, from the moment that it was seen to move."""

    def __init__(self) -> None:
        self._first: tuple[float, Amount] | None = None
        self._rate: float | None = None

    def read(self, amount: Amount, now: float) -> Pace:
        """The amount with its pace; a table that is done keeps the last rate."""
        # An amount without weight is one of which nothing is known yet: what it had before is no pace.
        if self._first is None or amount.bytes <= self._first[1].bytes or not self._first[1].weight:
            self._first = (now, amount)
        since, first = self._first
        eta = None
        if now > since and amount.share > first.share and amount.share < 1:
            eta = (1 - amount.share) * (now - since) / (amount.share - first.share)
        if now > since and (amount.share < 1 or self._rate is None):
            self._rate = (amount.bytes - first.bytes) / (now - since)
        return Pace(**asdict(amount), rate=self._rate, eta=eta)


def _sum(tables: Iterable[Pace]) -> Amount:
    tables = tuple(tables)
    weight = sum(table.weight for table in tables)
    done = sum(table.share * table.weight for table in tables)
    share = done / weight if weight else float(bool(tables) and all(table.share == 1 for table in tables))
    state = DONE if tables and all(table.state == DONE for table in tables) else ""
    return Amount("", state, sum(table.rows for table in tables), sum(table.bytes for table in tables), share, weight)
