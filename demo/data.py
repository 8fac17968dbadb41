"""The databases of the Campaign and the Image Service as they are before the consolidation, filled with generated rows.

Rows are made inside PostgreSQL, in batches of one transaction each, from md5 of seed, table and row number: the same
seed gives the same rows on every version. A few rows of every thousand carry values that break careless code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import sql

from demo.servers import Server

SQL = Path(__file__).parent / "sql"
BATCH_ROWS = 10_000

PARENTS = {"chapters": "campaigns", "overlays": "images"}
SERVICES = {"campaign": ("campaigns", "chapters"), "image": ("images", "overlays")}
"""Service (and its database) -> its tables, parents first."""


@dataclass(frozen=True)
class Volume:
    """Rows per table. The default is about 300 MB."""

    campaigns: int = 20_000
    chapters: int = 200_000
    images: int = 60_000
    overlays: int = 120_000

    @classmethod
    def scaled(cls, scale: float) -> Volume:
        """The default times `scale` (100 is about 30 GB); at least one row per table."""
        rows = (cls.campaigns, cls.chapters, cls.images, cls.overlays)
        return cls(*(max(1, round(count * scale)) for count in rows))

    def rows(self, table: str) -> int:
        return int(getattr(self, table))


def create_tables(server: Server, service: str) -> None:
    """The service's tables, owned by <service>_owner, in the existing database of the service."""
    conn = server.connect(service)
    try:
        with conn.cursor() as cursor:
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(f"{service}_owner")))
            cursor.execute((SQL / f"{service}.sql").read_text())
    finally:
        conn.close()


def has_tables(server: Server, service: str) -> bool:
    """True when create_tables() has been here."""
    conn = server.connect(service)
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')")
            return bool(cursor.fetchall()[0][0])
    finally:
        conn.close()


def generate(
    server: Server, service: str, volume: Volume, *, seed: int = 1, progress: Callable[[str, int], None] | None = None
) -> None:
    """Fill the service's empty tables. progress(table, rows) is called after every batch with the rows added by it."""
    for table in SERVICES[service]:
        total = volume.rows(table)
        parents = str(volume.rows(PARENTS[table])) if table in PARENTS else "0"
        for first, last in _batches(total):
            server.psql(
                SQL / f"{table}.sql", service, seed=str(seed), first=str(first), last=str(last), parents=parents
            )
            if progress:
                progress(table, last - first + 1)
    conn = server.connect(service)
    try:
        conn.cursor().execute("VACUUM ANALYZE")
    finally:
        conn.close()


def _batches(total: int) -> Iterator[tuple[int, int]]:
    for first in range(1, total + 1, BATCH_ROWS):
        yield first, min(first + BATCH_ROWS - 1, total)
