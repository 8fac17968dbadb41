"""The roles of production on a demo or test server: the documented grants, and passwords."""

from __future__ import annotations

import secrets
from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from demo.servers import Server

HERE = Path(__file__).parent


def create_source(server: Server, service: str) -> list[str]:
    """Create the service's empty database with its roles and grants; the names of the roles that log in."""
    server.psql(HERE / "roles_source.sql", service=service)
    return [f"{service}_app", "consolidation", "consolidation_reader"]


def create_target(server: Server, database: str = "storage") -> list[str]:
    """Create the empty storage database with its roles and grants; the names of the roles that log in."""
    server.psql(HERE / "roles_target.sql", database=database)
    return ["storage_service", "consolidation"]


def give_passwords(server: Server, roles: list[str]) -> list[str]:
    """Give every role a new random password (the server sees its hash only); the lines for a passfile."""
    lines = []
    conn = server.connect()
    try:
        with conn.cursor() as cursor:
            for role in roles:
                password = secrets.token_urlsafe(24)
                verifier = encrypt_password(password, role, conn, "scram-sha-256")
                cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))
                lines.append(f"{server.host}:{server.port}:*:{role}:{password}\n")
    finally:
        conn.close()
    return lines
