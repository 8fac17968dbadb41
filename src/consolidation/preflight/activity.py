"""Checks of what goes on at each side: transactions and locks that a fence would wait for."""

from __future__ import annotations

from collections.abc import Iterator

from consolidation.postgres.queries import dicts, query, rows, value
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.side import Check, Side
from consolidation.text import count, duration

LONG_SECONDS = 300


def checks(side: Side) -> Iterator[Check]:
    """Checks of one side's sessions."""
    yield Check("long transactions", lambda: _transactions(side))
    yield Check("prepared transactions", lambda: _prepared(side))
    yield Check("locks", lambda: _locks(side))
    if side.name == "source":
        yield Check("the age of the tables", lambda: _age(side))


def _transactions(side: Side) -> Iterator[Finding]:
    sees_all = value(side.conn, "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')")
    if not sees_all:
        what = f"role {side.connected_as} does not see the transactions of other roles"
        fix = side.paste("GRANT pg_read_all_stats TO {};", side.connected_as)
        yield found(f"{side.name}.activity.hidden", side.connected_as, what, fix)
    for row in dicts(side.conn, query("preflight/transactions"), {"seconds": LONG_SECONDS}):
        what = (
            f"pid {row['pid']}, user {row['role']}, application {row['application']}, {row['state']}: "
            f"open for {duration(row['age_seconds'])}"
        )
        fix = f"let it end, or: SELECT pg_terminate_backend({row['pid']});"
        yield found(f"{side.name}.transaction.long", f"pid {row['pid']}", what, fix)


def _prepared(side: Side) -> Iterator[Finding]:
    statement = (
        "SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::float FROM pg_prepared_xacts"
        " WHERE database = current_database() ORDER BY prepared"
    )
    for gid, owner, age in rows(side.conn, statement):
        what = f"prepared by {owner} {duration(age)} ago; it holds its locks, the fence would wait for it"
        with side.conn.cursor() as cursor:
            end = cursor.mogrify("COMMIT PREPARED %(gid)s; or ROLLBACK PREPARED %(gid)s;", {"gid": gid}).decode()
        fix = f"have the transaction manager that prepared it end it; by hand only as it says: {end}"
        yield found(f"{side.name}.transaction.prepared", gid, what, fix)


def _locks(side: Side) -> Iterator[Finding]:
    parameters = {"oids": [table.oid for table in side.tables]}
    for row in dicts(side.conn, query("preflight/locks"), parameters):
        what = f"{row['mode']} on {row['tables']} table(s), held by pid {row['pid']}, user {row['role']}"
        fix = f"let it end, or: SELECT pg_terminate_backend({row['pid']});"
        yield found(f"{side.name}.lock.held", f"pid {row['pid']} {row['mode']}", what, fix)


def _age(side: Side) -> Iterator[Finding]:
    for row in dicts(side.conn, query("preflight/age"), {"oids": [table.oid for table in side.tables]}):
        what = (
            f"{count(row['age'])} {row['counted']} old, at {count(row['most'])} a wraparound autovacuum begins:"
            " no lock request cancels it, the fence would wait until it ends"
        )
        fix = f"VACUUM (FREEZE) {row['name']};   -- some days before the window"
        yield found("source.table.age", row["name"], what, fix)
