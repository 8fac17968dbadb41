"""The DDL of a source schema, as pg_dump writes it, with the schema's new name."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from psycopg2.extensions import connection as Connection

from consolidation.backup import programs
from consolidation.postgres.catalog import LEFT_BEHIND
from consolidation.postgres.connection import Settings
from consolidation.postgres.queries import query, rows

LEFT_OUT = ("--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--no-security-labels")
# What a script sets for itself, and psql's own commands.
PREAMBLE = re.compile(r"(SET |SELECT pg_catalog\.set_config|\\|--)")


def dump_schema(pg_dump: Path, settings: Settings, schema: str, excluded: Iterable[str]) -> str:
    """The schema's DDL: everything in it, whatever the kind. excluded: tables that stay behind. Raises BackupError."""
    pattern = f'"{schema}"'
    without = [f'--exclude-table={pattern}."{name}"' for name in sorted({*excluded, *LEFT_BEHIND})]
    options = ["--schema-only", *LEFT_OUT, "--no-tablespaces", f"--schema={pattern}", *without]
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "schema.sql"
        programs.run([pg_dump, *options, f"--dbname={settings.conninfo()}"], output=output)
        return output.read_text(encoding="utf-8")


def renamed(text: str, schema: str, name: str, of_extensions: Collection[str]) -> str:
    """The script for another schema. of_extensions: names that stay in the old one; '' for operators."""
    statements = "\n".join(_without_preamble(text.splitlines()))
    quoted = '"' + schema.replace('"', '""') + '"'
    spellings = rf"(?:{re.escape(quoted)}|{re.escape(schema)})"
    own = re.compile(rf"CREATE SCHEMA {spellings};\n|COMMENT ON SCHEMA {spellings} IS [^;]*;\n")
    qualifier = re.compile(rf'(?<![\w".]){spellings}\.(?=("(?:[^"]|"")+"|\w+)?)')

    def to(match: re.Match[str]) -> str:
        following = (match.group(1) or "").strip('"').replace('""', '"')
        return match.group() if following in of_extensions else f"{name}."

    return re.sub(r"\n{3,}", "\n\n", qualifier.sub(to, own.sub("", statements))).strip() + "\n"


def names_of_extensions(source: Connection, schema: str) -> frozenset[str]:
    """Names of what extensions have in a schema."""
    return frozenset(name for (name,) in rows(source, query("adopt/extension_names"), {"schema": schema}))


def _without_preamble(lines: Iterable[str]) -> Iterator[str]:
    """Lines that make something. What looks the same within a statement, in a function's body or a comment, is left."""
    quote, begins = "", True
    for line in lines:
        if begins and PREAMBLE.match(line):
            continue
        yield line
        for tag in re.findall(r"\$\w*\$", line):
            quote = "" if tag == quote else quote or tag
        begins = not quote and (line.rstrip().endswith(";") or (begins and not line.strip()))
