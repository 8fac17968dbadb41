"""Rows that are given up, kept as files beside the dump: for their owner, not for any report or message."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from urllib.parse import quote

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation import files
from consolidation.copy import surplus
from consolidation.errors import BackupError
from consolidation.postgres.catalog import scan
from consolidation.rollback.exchange import Change


def keep(origin: Connection, destination: Connection, changes: Sequence[Change], parent: Path, name: str) -> Path:
    """Write what only the destination has, or has otherwise, one CSV file for each table; the new directory.

    It appears under its name only when it is complete. ``origin`` and ``destination`` are left rolled back: behind a
    closed fence of the destination. Raises BackupError.
    """
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = next(path for number in count(1) if not (path := parent / f"{name}.given_up-{number}").exists())
        partial = parent / f"{directory.name}.partial"
        partial.mkdir(mode=0o700, exist_ok=True)
        for left in partial.iterdir():
            left.unlink()
        for change in changes:
            _write(origin, destination, change, partial / f"{quote(change.destination.name, safe='')}.csv")
        files.sync(partial)
        partial.rename(directory)
        files.sync(parent)
    except OSError as error:
        raise BackupError(
            f"{name}: could not keep the rows to be given up in {parent}: {error.strerror}",
            hint="no row was changed; make room there, or let the runner write there, then run again",
        ) from error
    return directory


def _write(origin: Connection, destination: Connection, change: Change, path: Path) -> None:
    places = surplus.find(origin, destination, change, change.buckets)
    names = sql.SQL(", ").join(
        sql.SQL("t.{}").format(sql.Identifier(column.name)) for column in change.destination.stored_columns
    )
    statement = sql.SQL("COPY (SELECT {} FROM {} AS t, {}) TO STDOUT WITH (FORMAT csv, HEADER)")
    with (
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        destination.cursor() as cursor,
    ):
        cursor.copy_expert(statement.format(names, scan(change.destination), places), file)
        file.flush()
        os.fsync(file.fileno())
    for conn in (origin, destination):
        conn.rollback()
