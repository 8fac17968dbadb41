"""The demo's own proof, independent of the runbook: does the storage database hold exactly what the service's has?

It shares no code with the product on purpose: two SQL queries, and what they say side by side. The rows that clients
write all the while are left to the checker of their ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg2
from psycopg2 import sql

from demo.ledger import MARK, TOKENS
from demo.servers import Server

# Both servers must print a value in the same way.
PINNED = "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=3 -c bytea_output=hex"

COLUMNS = """
SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY column_name
"""
# Both halves of the md5 of every row's text, summed: the order of the rows does not matter.
CONTENT = """
SELECT count(*), md5(concat(sum(('x' || left(hash, 16))::bit(64)::bigint), ' ',
                            sum(('x' || right(hash, 16))::bit(64)::bigint)))
FROM (SELECT md5(ROW({columns})::text) AS hash FROM {table} WHERE {token} NOT LIKE {clients}) AS hashes
"""


@dataclass(frozen=True)
class Content:
    """What a table holds, without the rows of clients."""

    rows: int
    digest: str


def contents_of(server: Server, dbname: str, schema: str, tables: tuple[str, ...]) -> dict[str, Content]:
    """Table -> its content, all tables in one snapshot. A missing table raises psycopg2.Error."""
    conn = server.connect(dbname, options=PINNED)
    try:
        conn.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        found = {}
        with conn.cursor() as cursor:
            for table in tables:
                cursor.execute(COLUMNS, (schema, table))
                columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in cursor.fetchall())
                names = {"table": sql.Identifier(schema, table), "token": sql.Identifier(TOKENS[table])}
                cursor.execute(sql.SQL(CONTENT).format(columns=columns, clients=sql.Literal(f"{MARK}%"), **names))
                found[table] = Content(*cursor.fetchone())  # type: ignore[misc]  # an aggregate gives one row
        return found
    finally:
        conn.close()


def open_to(role: str, server: Server, dbname: str, schema: str, table: str) -> bool:
    """True when the role may write into the table now, False when the fence refuses it. The write touches no row."""
    conn = server.connect(dbname)
    try:
        with conn.cursor() as cursor:
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            cursor.execute(sql.SQL("DELETE FROM {} WHERE false").format(sql.Identifier(schema, table)))
    except psycopg2.errors.ReadOnlySqlTransaction:
        return False
    finally:
        conn.close()
    return True
