"""What a dump must hold: digests of the tables, positions of the sequences; read from a database, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation.backup.archive import Failure
from consolidation.backup.manifest import Manifest, SequencePosition, TableContent
from consolidation.compare.digest import own_columns, table_digest
from consolidation.errors import StatementFailed, describe
from consolidation.postgres.background import meanwhile
from consolidation.postgres.catalog import LEFT_BEHIND, Table, read_sequences, read_tables


@dataclass(frozen=True)
class Content:
    """Content of one schema, as the manifest keeps it."""

    tables: dict[str, TableContent]
    sequences: dict[str, SequencePosition]

    def complaints(self, manifest: Manifest, failures: Sequence[Failure]) -> list[str]:
        """How a restored schema differs from what a manifest says, and which of its tables' entries failed."""
        ours = [str(failure) for failure in failures if failure.is_of(manifest.source_schema)]
        return ours + self.differences(manifest)

    def differences(self, manifest: Manifest) -> list[str]:
        """How this differs from what a manifest says, in words; no values of rows."""
        wrong = []
        for name in sorted(manifest.tables.keys() | self.tables.keys()):
            wanted, found = manifest.tables.get(name), self.tables.get(name)
            if wanted is None or found is None:
                wrong.append(f"table {name} is {'missing' if found is None else 'not in the manifest'}")
            elif wanted["rows"] != found["rows"]:
                wrong.append(f"table {name} has {found['rows']} rows instead of {wanted['rows']}")
            elif wanted["digest"] != found["digest"]:
                wrong.append(f"table {name} has {found['rows']} rows, but other content")
        for name, position in sorted(manifest.sequences.items()):
            if name not in self.sequences:
                wrong.append(f"sequence {name} is missing")
            elif _behind(position, self.sequences[name]):
                wrong.append(f"sequence {name} is behind")
        return wrong


def tables_of(conn: Connection, schema: str) -> tuple[Table, ...]:
    """All tables of a schema, also those that a migration leaves behind."""
    return read_tables(conn, schema) + read_tables(conn, schema, sorted(LEFT_BEHIND))


def sequences_of(conn: Connection, schema: str) -> dict[str, SequencePosition]:
    """Where the sequences of a schema stand. No snapshot holds them: read them before a dump begins."""
    return {
        sequence.name: {
            "last_value": sequence.last_value,
            "is_called": sequence.is_called,
            "increment": sequence.increment,
        }
        for sequence in read_sequences(conn, schema)
    }


def digests_of(conn: Connection, schema: str) -> dict[str, TableContent]:
    """Rows and digest of every table, over the columns that a dump holds (generated ones are computed again)."""
    found: dict[str, TableContent] = {}
    for table in tables_of(conn, schema):
        stored = [column for column in own_columns(table) if not table.column(column.name).generated]
        try:
            digest = table_digest(conn, table, stored)
        except psycopg2.Error as error:
            raise StatementFailed(
                f"table {table}: {describe(error)}",
                hint="preflight names values that are too large, and functions that fail outside their schema:"
                " correct what it names, then run the same command again",
            ) from error
        found[table.name] = {"rows": digest.rows, "digest": digest.hex}
    return found


def read(conn: Connection, schema: str) -> Content:
    """Content of a schema; a signal to the main thread ends it at once."""
    with meanwhile(conn, lambda: Content(digests_of(conn, schema), sequences_of(conn, schema))) as reading:
        return reading.result()


def _behind(wanted: SequencePosition, found: SequencePosition) -> bool:
    """Whether a restored sequence would hand out values that the source had handed out when the dump began."""
    ahead = (found["last_value"] - wanted["last_value"]) * (1 if wanted["increment"] > 0 else -1)
    return ahead < 0 or (ahead == 0 and wanted["is_called"] and not found["is_called"])
