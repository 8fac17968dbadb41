"""Acting as another role, the way its own sessions would."""

from __future__ import annotations

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.postgres.queries import execute, query, rows


def act_as(conn: Connection, role: str) -> None:
    """Be another role until the transaction ends, with the search_path that its sessions have: triggers may need it."""
    path = next((path for (path,) in rows(conn, query("postgres/search_path"), {"role": role})), '"$user", public')
    execute(conn, "SELECT set_config('search_path', %s, true)", [path])
    execute(conn, sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
