"""Checks for mode online: what the capture cannot note, what a round would have to bring over whole."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.capture import state as capture
from consolidation.capture import trigger
from consolidation.model import Database
from consolidation.postgres.catalog import Table
from consolidation.postgres.queries import rows
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.models import Lineage
from consolidation.preflight.side import Check, Side
from consolidation.text import size

WHOLE_BYTES = 64 * 1000 * 1000
"""A table without a key is brought over whole, in the write outage too: up to here that takes about a second."""


def checks(source: Side, lineage: Lineage) -> Iterator[Check]:
    """Checks of what is to be followed."""
    yield Check("keys", lambda: _keys(source, lineage))
    yield Check("unlogged tables", lambda: _unlogged(source))
    yield Check("publications", lambda: _publications(source))
    yield Check("cost of the capture", lambda: _cost(source))


def leftovers(source: Side, database: Database) -> Iterator[Finding]:
    """What an earlier run has left, where none is under way."""
    left = [table for table in capture.read(source.conn, database.source_side) if table.state != capture.ABSENT]
    if not left:
        return
    on = [table for table in left if table.state != capture.PREPARED]
    what = (
        f"{len(left)} table(s) have triggers that note keys, {len(on)} of them switched on; noted so far:"
        f" {size(sum(table.log_bytes for table in left))}"
    )
    fix = "\n".join(statement.as_string(source.conn) for statement in trigger.removal(left))
    yield found("source.capture.left", "consolidation", what, fix)


def _keys(source: Side, lineage: Lineage) -> Iterator[Finding]:
    for table in source.tables:
        model = lineage.tables.get(table.name)
        if table.primary_key and model is not None and set(model.primary_key) != set(table.primary_key):
            what = (
                f"its key is ({', '.join(table.primary_key)}) on the source and"
                f" ({', '.join(model.primary_key) or 'none'}) in the lineage: noted keys name no row there"
            )
            yield found("online.key.other", str(table), what, "make it the same by a revision of the lineage")
        elif not table.primary_key:
            yield _without_key(source, table)


def _without_key(source: Side, table: Table) -> Finding:
    what = f"no primary key: its {size(table.table_bytes)} are compared whole whenever a row has changed"
    if table.table_bytes <= WHOLE_BYTES:
        return found("online.table.no_key", str(table), what, "nothing to do; a primary key would make it cheaper")
    columns = next((c.name for c in table.columns if c.not_null), table.columns[0].name if table.columns else "id")
    fix = source.paste("ALTER TABLE {} ADD PRIMARY KEY ({});", table.identifier, columns)
    fix += f" with the columns that name a row, also in the lineage; or mode window for {source.schema}"
    return found("online.table.no_key_large", str(table), f"{what}, in the write outage too", fix)


def _unlogged(source: Side) -> Iterator[Finding]:
    for table in source.tables:
        if table.persistence == "u":
            what = "unlogged: a crash of the source empties it, which no trigger notes"
            fix = source.paste("ALTER TABLE {} SET LOGGED;", table.identifier)
            yield found("online.table.unlogged", str(table), what, fix)


def _cost(source: Side) -> Iterator[Finding]:
    """Measured by ``bench.online``: its results say on what."""
    what = (
        "until the cutover every row that is written is noted: 7 to 21 µs of the server's CPU for one in a transaction"
        " of its own, 2 µs in bulk, where it was measured"
    )
    fix = "nothing to do; ansible-playbook rehearse.yml measures it on this server"
    yield found("source.capture.cost", source.settings.dbname, what, fix)


def _publications(source: Side) -> Iterator[Finding]:
    """A new table of ours would be sent to subscribers that do not have it, and stop them."""
    for (name,) in rows(source.conn, "SELECT pubname FROM pg_publication WHERE puballtables ORDER BY 1"):
        what = "it publishes all tables, those of noted keys too: a subscriber that lacks them stops"
        fix = source.paste("DROP PUBLICATION {}; and publish the tables by name", name)
        yield found("online.publication", name, what, f"{fix}, or use mode window")
