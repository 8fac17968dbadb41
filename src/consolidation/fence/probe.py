"""The proof that a fence holds: a write as every role, which must be refused."""

from __future__ import annotations

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.errors import FenceError
from consolidation.fence.state import Fenced, read
from consolidation.model import Side
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute
from consolidation.postgres.roles import act_as

PROBE_TIMEOUT = "10s"  # a probe waits for a lock no longer: the write outage has begun


def probe(side: Side) -> list[dict[str, str]]:
    """Try to write every table as every role of the side; every try must be refused by the fence.

    Nothing is written: no row is touched, and each try is rolled back. Raises FenceError.
    """
    outcomes = []
    with session(side.settings, "fence probe") as conn:
        prepare_probe(conn)
        for role in side.roles:
            for fenced in read(conn, side):
                outcome = _probe_table(conn, role, fenced)
                conn.rollback()
                outcomes.append({"role": role, "table": f"{fenced.schema}.{fenced.name}", "outcome": outcome})
    leaks = [probed for probed in outcomes if probed["outcome"] not in ("refused by the fence", "role cannot write")]
    if leaks:
        first = leaks[0]
        raise FenceError(
            f"{side.database}: the fence of the {side.name} does not hold: as {first['role']} on {first['table']}: "
            f"{first['outcome']} ({len(leaks)} of {len(outcomes)} probes)",
            hint="nothing was written; look at the triggers of that table, then run again",
            facts={"probes": outcomes},
        )
    return outcomes


def prepare_probe(conn: Connection) -> None:
    """Let a session try statements of other roles: as they run them, with row security, and without a long wait."""
    execute(
        conn, "SELECT set_config('lock_timeout', %s, false), set_config('row_security', 'on', false)", [PROBE_TIMEOUT]
    )
    conn.commit()


def _probe_table(conn: Connection, role: str, fenced: Fenced) -> str:
    """What happened to a write that touches no row: DELETE, or INSERT where the role may not DELETE."""
    for statement in ("DELETE FROM {} WHERE false", "INSERT INTO {} DEFAULT VALUES"):
        try:
            act_as(conn, role)
            execute(conn, sql.SQL(statement).format(fenced.identifier))
        except psycopg2.errors.ReadOnlySqlTransaction as error:
            ours = "fenced by the storage consolidation" in (error.diag.message_primary or "")
            return "refused by the fence" if ours else "refused, but not by the fence"
        except psycopg2.errors.InsufficientPrivilege as error:
            if "permission denied for table" not in (error.diag.message_primary or ""):
                return f"could not probe (SQLSTATE {error.pgcode})"
            conn.rollback()
        except psycopg2.errors.LockNotAvailable:
            return f"could not probe, another session held the table for {PROBE_TIMEOUT}"
        except psycopg2.Error as error:
            return f"could not probe (SQLSTATE {error.pgcode})"
        else:
            return "WRITE WENT THROUGH"
    return "role cannot write"
