"""What a test leaves on a server, and how the next one gets a server without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2 import sql

from demo.servers import Server

TEMPLATE = "template_"
"""Of the names of the databases that others are cloned from."""
FIRST_NORMAL_OID = 16384
ROLES = """
SELECT r.oid::int, concat_ws(' ', r::text,
  (SELECT string_agg(m::text, ' ' ORDER BY m::text) FROM pg_auth_members m WHERE m.member = r.oid),
  (SELECT string_agg(s::text, ' ' ORDER BY s::text) FROM pg_db_role_setting s WHERE s.setrole = r.oid))
  FROM pg_authid r
UNION ALL
SELECT 0, concat_ws(' ',
  (SELECT string_agg(s::text, ' ' ORDER BY s::text) FROM pg_db_role_setting s WHERE s.setrole = 0),
  (SELECT string_agg(p::text, ' ' ORDER BY p::text) FROM pg_parameter_acl p))
"""


def drop_templates(server: Server) -> None:
    """Also before a test drops a role of production, which has its place in them."""
    with superuser(server) as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [TEMPLATE])
        for (name,) in cursor.fetchall():
            drop_template(cursor, name)


def drop_template(cursor: Any, name: str) -> None:
    """If it is there."""
    if is_there(cursor, name):
        cursor.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def is_there(cursor: Any, name: str) -> bool:
    """Whether there is such a database."""
    cursor.execute("SELECT FROM pg_database WHERE datname = %s", [name])
    return bool(cursor.fetchall())


@contextmanager
def superuser(server: Server) -> Iterator[Any]:
    """A superuser's cursor; it commits by itself."""
    with closing(connected(server)) as conn, conn.cursor() as cursor:
        yield cursor


def connected(server: Server) -> Any:
    """A superuser's connection; a test may have stopped the server."""
    try:
        return server.connect()
    except psycopg2.OperationalError:
        server.start()
        return server.connect()


def keep(cursor: Any, dbname: str, template: str) -> None:
    """Make a template of a database."""
    made, kept = sql.Identifier(dbname), sql.Identifier(template)
    cursor.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(made, kept))
    cursor.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false").format(kept))


def clone(cursor: Any, template: str, dbname: str) -> None:
    """With its owner and its grants, which CREATE DATABASE does not copy."""
    cursor.execute(
        "SELECT format('CREATE DATABASE %%I TEMPLATE %%I OWNER %%I', %(to)s, datname, pg_get_userbyid(datdba)) AS made,"
        " array(SELECT format('GRANT %%s ON DATABASE %%I TO %%s', privilege_type, %(to)s,"
        "                     CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)"
        "         FROM aclexplode(datacl))"
        " FROM pg_database WHERE datname = %(template)s",
        {"to": dbname, "template": template},
    )
    [(create, grants)] = cursor.fetchall()
    cursor.execute(create)
    revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(dbname)).as_string(cursor)
    cursor.execute(";".join([revoke, *grants]))


def roles_of(cursor: Any) -> dict[int, str]:
    """Role -> its attributes, password, memberships and settings; 0 -> what is set for all."""
    cursor.execute(ROLES)
    return dict(cursor.fetchall())


def drop_roles(cursor: Any, wanted: dict[int, str]) -> bool:
    """Drop all others; whether those are there, and as they were."""
    found = roles_of(cursor)
    if wanted.keys() - found.keys():
        return False
    for oid in found.keys() - wanted.keys():
        cursor.execute(
            "SELECT format('DROP OWNED BY %%1$I; DROP ROLE %%1$I', rolname) FROM pg_roles WHERE oid = %s", [oid]
        )
        [(drop,)] = cursor.fetchall()
        cursor.execute(drop)
    return roles_of(cursor) == wanted


def drop_databases(cursor: Any, server: Server) -> None:
    """Drop every database that a test made."""
    cursor.execute("SELECT gid, database FROM pg_prepared_xacts")
    for gid, dbname in cursor.fetchall():
        with closing(server.connect(dbname)) as owner:
            owner.cursor().execute("ROLLBACK PREPARED %s", (gid,))
    cursor.execute("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
    for (name,) in cursor.fetchall():
        drop_database(cursor, name)


def drop_database(cursor: Any, name: str) -> None:
    """Whoever is in it."""
    cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
