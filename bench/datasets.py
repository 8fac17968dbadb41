"""What is copied: documents of the Campaign and the Image Service, a narrow table of many rows, a few huge values.

Rows are made inside PostgreSQL from md5 of seed, table and row number, like the demo's and partly by the demo's own
scripts. The same seed gives the same rows on every machine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.place import Place
from demo import data, roles

SQL = Path(__file__).parent / "sql"
ROWS_PER_GIGABYTE = {"campaigns": 4_000, "chapters": 110_000, "images": 25_000, "overlays": 40_000, "events": 1_500_000}
BATCHES = {"events": 250_000, "readings": 250_000, "attachments": 1}
"""Rows of one INSERT; 2,000 where nothing is said."""
PARENTS = data.PARENTS
SCRIPTS = {name: data.SQL / f"{name}.sql" for name in ("campaigns", "overlays")}
"""Of the demo; the others lie in bench/sql."""


@dataclass(frozen=True)
class Dataset:
    """One source database, and the schema of the target that takes it."""

    name: str
    """Of the database and of the schema."""
    title: str
    rows: dict[str, int]
    """Table -> rows, parents first."""
    ddl: tuple[Path, ...]
    largest_value_bytes: int = 0
    """For the script of the huge values."""

    def create_tables(self) -> str:
        """Tables, keys and indexes, of the source as of the target."""
        return "\n".join(path.read_text() for path in self.ddl)


def documents(gigabytes: float) -> Dataset:
    """json of 2 to 8 KB, jsonb of 1 to 20 KB and one in a hundred of 200 to 350 KB, small rows, foreign keys."""
    ddl = (data.SQL / "campaign.sql", data.SQL / "image.sql", SQL / "documents.sql")
    counts = {table: max(1, round(rows * gigabytes)) for table, rows in ROWS_PER_GIGABYTE.items()}
    return Dataset(f"documents_{round(gigabytes * 1000)}mb", f"documents, {gigabytes:g} GB", counts, ddl)


def narrow(millions: float) -> Dataset:
    """Rows of 50 bytes: a number, a reference, a moment, an amount."""
    rows = {"readings": round(millions * 1_000_000)}
    return Dataset(f"narrow_{rows['readings']}", f"narrow rows, {millions:g} million", rows, (SQL / "narrow.sql",))


def large(megabytes: float) -> Dataset:
    """Values from a thirtieth of the size up to it: prose, which compresses, and bytes, which do not."""
    largest = round(megabytes * 1_000_000)
    return Dataset("large", f"values up to {megabytes:g} MB", {"attachments": 8}, (SQL / "large.sql",), largest)


def generate(place: Place, dataset: Dataset, seed: int = 1) -> None:
    """Create and fill the source database; statistics are up to date, hint bits are set."""
    roles.create_source(place.source, dataset.name)
    owner = f'SET ROLE "{dataset.name}_owner"'  # a name of ours
    place.execute(place.source, f"{owner}; {dataset.create_tables()}", dataset.name)
    with ThreadPoolExecutor(place.streams) as pool:
        for table, total in dataset.rows.items():
            batch = BATCHES.get(table, 2_000)
            list(
                pool.map(
                    lambda first, table=table: _fill(place, dataset, table, first, seed), range(1, total + 1, batch)
                )
            )
    place.execute(place.source, "VACUUM (FREEZE, ANALYZE)", dataset.name)


def _fill(place: Place, dataset: Dataset, table: str, first: int, seed: int) -> None:
    last = min(first + BATCHES.get(table, 2_000) - 1, dataset.rows[table])
    parents = dataset.rows[PARENTS[table]] if table in PARENTS else 0
    script = SCRIPTS.get(table, SQL / f"{table}.sql")
    numbers = {"seed": seed, "first": first, "last": last, "parents": parents, "largest": dataset.largest_value_bytes}
    place.source.psql(script, dataset.name, **{name: str(number) for name, number in numbers.items()})


def drop(place: Place, dataset: Dataset) -> None:
    """Remove the source database."""
    place.execute(place.source, f'DROP DATABASE "{dataset.name}" WITH (FORCE)')
