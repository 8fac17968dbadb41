"""Commits that must survive a failover: waited for with a limit, and with no lock held.

Our sessions commit to the server's own disk (``settings.PINNED``); a commit that waits for a standby that is away would
hold its locks until an operator brings that back.
"""

from __future__ import annotations

from threading import Event, Timer

from consolidation.errors import StatementFailed
from consolidation.postgres.connection import Settings, session
from consolidation.postgres.queries import execute, value


def await_standbys(settings: Settings, seconds: float) -> None:
    """Wait until the synchronous standbys have all that was committed so far. Raises StatementFailed.

    Whatever a later commit is confirmed for, holds for every commit before it.
    """
    with session(settings, "standbys") as conn:
        names = value(conn, "SHOW synchronous_standby_names")
        if not names:
            return
        execute(conn, "SET LOCAL synchronous_commit = on")
        # A transaction that has logged nothing waits for no one.
        execute(conn, "SELECT pg_logical_emit_message(true, 'consolidation', '')")
        given_up = Event()

        def give_up() -> None:
            given_up.set()
            conn.cancel()  # the wait ends, the commit stands

        limit = Timer(max(seconds, 1.0), give_up)
        limit.start()
        try:
            conn.commit()
        finally:
            limit.cancel()
    if given_up.is_set():
        raise StatementFailed(
            f"{settings}: no synchronous standby ({names}) has confirmed within {max(seconds, 1.0):.0f} s: a failover"
            " could lose what was committed",
            hint="bring the standby back, or ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();"
            " then run again",
        )
