"""Acting as another role, the way its own sessions would."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.postgres.queries import execute, query, rows, value

OURS = ("client_encoding", "exit_on_error", "_timeout")
"""How names end of what is left as our session has it: how it is read, how it ends, and for how long it waits."""

TRUE = frozenset({"on", "true", "yes", "1", "t", "y"})


def act_as(conn: Connection, role: str) -> None:
    """Be another role until the transaction ends, with the settings that its sessions begin with.

    Triggers and policies may need them: a search_path, settings of the application's own, the role that it becomes.
    """
    # Our own sessions are as they are pinned.
    begun = {} if role == conn.info.user else begins_with(conn, role)
    settings = {"search_path": '"$user", public', **begun}
    becomes = settings.pop("role", role)
    wanted = {name: text for name, text in settings.items() if not name.lower().endswith(OURS)}
    calls = ", ".join(["set_config(%s, %s, true)"] * len(wanted))
    execute(conn, f"SELECT {calls}", [text for pair in wanted.items() for text in pair])
    # Where it may not, its sessions begin with a warning.
    may = "SELECT count(*) FROM pg_roles WHERE rolname = %s AND pg_has_role(%s, oid, 'MEMBER')"
    acts_as = becomes if becomes != role and value(conn, may, [becomes, role]) else role
    execute(conn, sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(acts_as)))


def begins_with(conn: Connection, role: str) -> dict[str, str]:
    """Settings of a role's sessions in this database that are not the server's."""
    return dict(rows(conn, query("postgres/role_settings"), {"role": role}))


def begin_read_only(conn: Connection, roles: Iterable[str]) -> set[str]:
    """Those of some roles whose transactions in this database may not write unless they ask to."""
    parameters = {"roles": list(roles), "settings": ["default_transaction_read_only"]}
    return {role for role, _, text in rows(conn, query("postgres/begun_with"), parameters) if text.lower() in TRUE}
