"""Checks of what writes past the application, or has writes wait: subscriptions, rules, partitions, standbys."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.model import Database
from consolidation.postgres.queries import dicts, query, rows
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.objects import ACCEPT
from consolidation.preflight.side import Check, Side


def checks(side: Side, database: Database) -> Iterator[Check]:
    """Checks of one side."""
    yield Check("subscriptions", lambda: _subscriptions(side))
    yield Check("synchronous standbys", lambda: _synchronous(side))
    if side.name == "source":
        yield Check("partitions of roots elsewhere", lambda: _foreign_partitions(side, database))
        yield Check("rules that take statements elsewhere", lambda: _instead_rules(side))


def _subscriptions(side: Side) -> Iterator[Finding]:
    for name, tables in rows(side.conn, query("preflight/subscriptions"), {"schema": side.schema}):
        if side.name == "target" and tables is None:
            continue  # another service's
        kind = f"{side.name}.object.subscription"
        what = (
            f"subscription {name} writes {tables or 'no table of this schema'}; the closed fence refuses its rows too:"
            " its worker stops, tries again, and what arrives meanwhile waits at the publisher"
        )
        after = (
            f"or keep it: {ACCEPT}: ['{kind} {name}']; after the cutover drop it, and have the publisher's rows go to"
            " the storage database"
        )
        yield found(kind, name, what, f"DROP SUBSCRIPTION {name}; before the window\n{after}")


def _synchronous(side: Side) -> Iterator[Finding]:
    for row in dicts(side.conn, query("preflight/synchronous")):
        if row["visible"] and not row["following"]:
            what = f"synchronous_standby_names is {row['names']}, and no such standby follows: no commit returns"
            fix = "bring the standby back, or ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();"
            yield found(f"{side.name}.standby.synchronous_away", "synchronous_standby_names", what, fix)


def _foreign_partitions(source: Side, database: Database) -> Iterator[Finding]:
    for name, root in rows(source.conn, query("preflight/foreign_partitions"), {"schema": source.schema}):
        if database.tables and name not in database.tables:
            continue
        kind, subject = "source.table.partition_elsewhere", f"{source.schema}.{name}"
        what = f"a partition of {root}, which is in another schema: its rows are not copied, {root} is not fenced"
        fix = (
            source.paste("ALTER TABLE … DETACH PARTITION {};", name)
            + f" or move {root} into schema {source.schema}\nor leave its rows behind: {ACCEPT}: ['{kind} {subject}']"
        )
        yield found(kind, subject, what, fix)


def _instead_rules(source: Side) -> Iterator[Finding]:
    parameters = {"oids": [table.oid for table in source.tables]}
    for table, name, command in rows(source.conn, query("preflight/instead_rules"), parameters):
        what = (
            f"{command} on {table} does something else INSTEAD: behind the closed fence it is refused only where that"
            " writes a table that is migrated; what it writes elsewhere goes on"
        )
        fix = f"see what the rule writes: \\d+ {table}; stop its callers for the window if that matters"
        yield found("source.rule.instead", f"{name} on {table}", what, fix)
