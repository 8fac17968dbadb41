"""The proof that a fence holds, or that an opening is one: a write as every role, which touches no row."""

from __future__ import annotations

import io
from collections.abc import Iterator

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import FenceError
from consolidation.fence.state import TRIGGER, Fenced, read
from consolidation.model import Side
from consolidation.postgres.connection import session
from consolidation.postgres.queries import Row, dicts, execute, query
from consolidation.postgres.roles import act_as, begin_read_only

PROBE_TIMEOUT = "10s"  # a probe waits for a lock no longer: the write outage has begun

REFUSED = "refused by the fence"
PASSED = "WRITE WENT THROUGH"
CANNOT_WRITE = "role cannot write"
READ_ONLY = "role is read-only (default_transaction_read_only)"
NO_POLICY = "row security has no policy that lets the role insert"
SHUT_OUT = "role may not connect to the database"
LACKS = "new rows use what the role may not use:"
FAILS = (CANNOT_WRITE, READ_ONLY, NO_POLICY, SHUT_OUT, LACKS)
"""How outcomes begin where the fence has no part in it."""

# COPY asks no rule, but refuses where row security applies.
_STATEMENTS = {
    "DELETE": "DELETE FROM {table} WHERE false",
    "INSERT": "INSERT INTO {table} ({column}) SELECT NULL WHERE false",
    "UPDATE": "UPDATE {table} SET {column} = {column} WHERE false",
    "COPY": "COPY {table} FROM STDIN",
}
_UNKNOWN: Row = {"ruled": [], "column": None, "unprotected": False, "shut_out": False, "lacking": []}


def probe(side: Side, *, opens: bool = False) -> list[dict[str, str]]:
    """Try to write every table as every role of the side; every try must be refused by the fence.

    ``opens``: the cutover opens it next. Its roles must be able to write then: what else refuses them is an error as
    well. Nothing is written: no row is touched, and each try is rolled back. Raises FenceError.
    """
    outcomes, leaks = [], []
    for role, fenced, outcome in _outcomes(side, opens=opens):
        probed = {"role": role, "table": f"{fenced.schema}.{fenced.name}", "outcome": outcome}
        outcomes.append(probed)
        if outcome != REFUSED and (_must_write(side, role, opens=opens) or not outcome.startswith(FAILS)):
            leaks.append(probed)
    if leaks:
        first = leaks[0]
        fails = first["outcome"].startswith(FAILS)
        raise FenceError(
            f"{side.database}: {first['role']} cannot write {first['table']} of the {side.name} once it opens: "
            f"{first['outcome']} ({len(leaks)} of {len(outcomes)} probes)"
            if fails
            else f"{side.database}: the fence of the {side.name} does not hold: as {first['role']} on "
            f"{first['table']}: {first['outcome']} ({len(leaks)} of {len(outcomes)} probes)",
            hint=_remedy(side, first["role"], first["outcome"])
            if fails
            else "nothing was written; look at the triggers of that table, then run again",
            facts={"probes": outcomes},
        )
    return outcomes


def require_open(side: Side) -> None:
    """A write that touches no row must pass as every role that is to write here. Raises FenceError.

    The runbook's own role is not one of them: a trigger that only the service's sessions can run may fail for it.
    """
    for role, fenced, outcome in _outcomes(side, opens=True):
        if outcome == REFUSED or (outcome != PASSED and _must_write(side, role, opens=True)):
            raise FenceError(
                f"{side.database}: {role} cannot write {fenced.schema}.{fenced.name} after the opening: {outcome}",
                hint=_remedy(side, role, outcome),
            )


def _remedy(side: Side, role: str, outcome: str) -> str:
    return f"{fix(side, role, outcome)}; then run the same command again"


def fix(side: Side, role: str, outcome: str) -> str:
    """What makes a role able to write."""
    fixes = {
        CANNOT_WRITE: f"grant {role} what it needs there (USAGE on schema {side.schema}, INSERT, UPDATE and DELETE)",
        READ_ONLY: f"ALTER ROLE {role} IN DATABASE {side.settings.dbname} SET default_transaction_read_only = off",
        NO_POLICY: f"create a policy for {role}, or ALTER ROLE {role} BYPASSRLS",
        SHUT_OUT: f"GRANT CONNECT ON DATABASE {side.settings.dbname} TO {role}",
        LACKS: f"GRANT USAGE ON SEQUENCE … (or EXECUTE ON FUNCTION …) TO {role}",
    }
    return next((text for start, text in fixes.items() if outcome.startswith(start)), "find out what refuses it")


def shortcoming(conn: Connection, role: str, table: Fenced) -> str:
    """Why a role could write no row there though a statement of its that touches none passes; '' where it could."""
    return _shortcoming(_facts(conn, role, table))


def _shortcoming(facts: Row) -> str:
    if facts["shut_out"]:
        return SHUT_OUT
    if facts["lacking"]:
        return f"{LACKS} {', '.join(facts['lacking'])}"
    return NO_POLICY if facts["unprotected"] else ""


def _facts(conn: Connection, role: str, table: Fenced) -> Row:
    found = dicts(conn, query("fence/role_on_table"), {"role": role, "table": table.oid})
    return found[0] if found else _UNKNOWN  # no such role: SET ROLE says so


def _outcomes(side: Side, *, opens: bool) -> Iterator[tuple[str, Fenced, str]]:
    with session(side.settings, "fence probe") as conn:
        # As the roles run their statements: with row security, and without a long wait.
        execute(
            conn,
            "SELECT set_config('lock_timeout', %s, false), set_config('row_security', 'on', false)",
            [PROBE_TIMEOUT],
        )
        conn.commit()
        tables, read_only = read(conn, side), begin_read_only(conn, side.roles)
        for role in side.roles:
            for fenced in tables:
                must_write = _must_write(side, role, opens=opens)
                outcome = _outcome(conn, role, fenced, read_only=role in read_only, must_write=must_write)
                conn.rollback()
                yield role, fenced, outcome


def _outcome(conn: Connection, role: str, fenced: Fenced, *, read_only: bool, must_write: bool) -> str:
    """What happens to a write of a role. Another way is tried where it may not, or a rule takes, the first one.

    A role that is to write the target must have every way.
    """
    facts = _facts(conn, role, fenced)
    outcome = CANNOT_WRITE
    for command, statement in _STATEMENTS.items():
        asked_twice = command == "COPY" and outcome != CANNOT_WRITE
        if command in facts["ruled"] or asked_twice or ("{column}" in statement and facts["column"] is None):
            continue
        conn.rollback()
        try:
            act_as(conn, role)
        except psycopg2.Error as error:
            return f"could not probe (SQLSTATE {error.pgcode})"
        names = {"table": fenced.identifier, "column": sql.Identifier(facts["column"] or "")}
        outcome = _try(conn, command, sql.SQL(statement).format(**names), read_only=read_only)
        if must_write and outcome in {REFUSED, PASSED} and (lacks := _shortcoming(facts)):
            return lacks
        decided = outcome == CANNOT_WRITE if must_write else outcome != CANNOT_WRITE
        if decided or outcome not in {REFUSED, PASSED, CANNOT_WRITE}:
            return outcome
    return outcome


def _must_write(side: Side, role: str, *, opens: bool) -> bool:
    return opens and role != side.settings.user


def _try(conn: Connection, command: str, statement: sql.Composable, *, read_only: bool) -> str:
    try:
        if read_only:
            execute(conn, "SET LOCAL transaction_read_only = on")
        if command == "COPY":
            with conn.cursor() as cursor:
                cursor.copy_expert(statement, io.StringIO())
        else:
            execute(conn, statement)
    except psycopg2.errors.ReadOnlySqlTransaction as error:
        # Not by the words: a server may speak any language.
        if error.diag.constraint_name == TRIGGER:
            return REFUSED
        return READ_ONLY if read_only else "refused, but not by the fence"
    except psycopg2.errors.InsufficientPrivilege:
        return CANNOT_WRITE
    except psycopg2.errors.LockNotAvailable:
        return f"could not probe, another session held the table for {PROBE_TIMEOUT}"
    except psycopg2.Error as error:
        return f"could not probe (SQLSTATE {error.pgcode})"
    return PASSED
