"""Checks of each server: reachable as it must be, versions, encodings, collations, settings, room for connections."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from math import ceil

from consolidation.postgres.queries import Row, dicts, query, rows, value
from consolidation.preflight.findings import Finding
from consolidation.preflight.kinds import found
from consolidation.preflight.side import Check, Side
from consolidation.text import count

OLDEST, NEWEST = 13, 18
CONNECTIONS = 10
"""Sessions that a run has open on one server at most: coordinator, journal, workers, verification, probes."""


def checks(side: Side) -> Iterator[Check]:
    """Checks of one server."""
    yield Check("the server's version", lambda: version(side.name, side.major))
    yield Check("the encryption of the connection", lambda: _encryption(side))
    yield Check("whether the server is a standby", lambda: _standby(side))
    yield Check("encoding and collation versions", lambda: _collation_versions(side))
    yield Check("the settings of the runbook's role", lambda: _timeouts(side))
    yield Check("how many connections are left", lambda: _connections(side))
    if side.by_reader:
        yield Check("the login of the runbook's role", lambda: _login(side))
    yield Check("the server's capabilities", lambda: _capabilities(side))


def checks_of_both(source: Side, target: Side) -> Iterator[Check]:
    """Checks that compare the two servers."""
    yield Check("the versions of both servers", lambda: versions(source.major, target.major))
    yield Check("room for the locks of all tables", lambda: _locks(source, target))
    yield Check("encodings and collations of both databases", lambda: _locales(source, target))
    yield Check("extensions", lambda: _extensions(source, target))
    yield Check("row security on the target", lambda: _row_security(source, target))


def version(side: str, major: int) -> Iterator[Finding]:
    """Whether the runbook knows this major version."""
    if major < OLDEST:
        what = f"PostgreSQL {major}; the runbook supports {OLDEST} to {NEWEST}"
        yield found(f"{side}.version.unsupported", str(major), what, f"upgrade the server to {OLDEST} or newer")
    if major > NEWEST:
        what = f"PostgreSQL {major}; the runbook was tested with {OLDEST} to {NEWEST}"
        yield found(f"{side}.version.untested", str(major), what, "rehearse the migration on copies of both servers")


def versions(source: int, target: int) -> Iterator[Finding]:
    """The target must not be older than the source."""
    if target < source:
        what = f"the source runs PostgreSQL {source}, the target {target}: types and dumps only go up"
        yield found("target.version.older", str(target), what, f"upgrade the storage server to {source} or newer")


def locks(side: str, relations: int, per_transaction: int, room: int) -> Iterator[Finding]:
    """relations: to be locked in one transaction. room: what the server's lock table holds, for all sessions."""
    if relations * 2 > room:
        enough = per_transaction * ceil(relations * 2 / room)
        what = f"one transaction locks {count(relations)} tables and indexes; all sessions have {count(room)} locks"
        fix = f"ALTER SYSTEM SET max_locks_per_transaction = {enough}; then restart the server"
        yield found(f"{side}.locks.few", "max_locks_per_transaction", what, fix)


def _locks(source: Side, target: Side) -> Iterator[Finding]:
    # The target's tables are not there yet; they will be as many.
    oids = {"oids": [table.oid for table in source.tables]}
    relations = value(source.conn, query("preflight/relations"), oids)
    for side in (source, target):
        [(per_transaction, room)] = rows(side.conn, query("preflight/lock_room"))
        yield from locks(side.name, relations, per_transaction, room)


def encryption(side: str, host: str, sslmode: str, tls: bool, client: str | None) -> Iterator[Finding]:
    """client: the address the server sees us at; None for a Unix socket."""
    if client is None or ip_address(client).is_loopback:
        return
    if not tls:
        what = f"the connection from {client} to {host} is not encrypted"
        fix = f"consolidation_database.{side}.sslmode: verify-full, with sslrootcert; and hostssl in pg_hba.conf"
        yield found(f"{side}.connection.unencrypted", host, what, fix)
    elif sslmode != "verify-full":
        what = f"sslmode {sslmode} encrypts, but any server could answer for {host}"
        yield found(f"{side}.connection.unverified", host, what, f"consolidation_database.{side}.sslmode: verify-full")


def _encryption(side: Side) -> Iterator[Finding]:
    statement = "SELECT ssl, host(inet_client_addr()) FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    [(tls, client)] = rows(side.conn, statement)
    yield from encryption(side.name, side.settings.host, side.settings.sslmode, tls, client)


def _standby(side: Side) -> Iterator[Finding]:
    if value(side.conn, "SELECT pg_is_in_recovery()"):
        what = f"{side.settings.host}:{side.settings.port} is a standby: it accepts no write, no fence, no schema"
        fix = f"point consolidation_database.{side.name}.host at the primary"
        yield found(f"{side.name}.standby", side.settings.host, what, fix)


def _login(side: Side) -> Iterator[Finding]:
    what = f"connected as {side.connected_as}; the login of {side.role} (password, pg_hba.conf) was not tried"
    fix = f"psql '{side.settings.conninfo()}' --command='SELECT 1'"
    yield found(f"{side.name}.login.not_tried", side.role, what, fix)


def _collation_versions(side: Side) -> Iterator[Finding]:
    encoding = value(side.conn, "SHOW server_encoding")
    if encoding == "SQL_ASCII":
        what = f"database {side.settings.dbname} is SQL_ASCII: bytes of any encoding may be in it"
        fix = "dump it, restore it into a database with ENCODING 'UTF8', correct the rows that are refused"
        yield found(f"{side.name}.encoding.unchecked", side.settings.dbname, what, fix)
    # Versions of the database's own collation are recorded since 15.
    name = "preflight/collations" if side.major >= 15 else "preflight/collations_before_15"
    for row in dicts(side.conn, query(name), {"schema": side.schema}):
        what = f"recorded version {row['recorded']}, now {row['actual'] or 'unknown'}: indexes on text may be wrong"
        object_ = side.paste(row["sort"] + " {}", row["name"])
        rebuild = side.paste("REINDEX DATABASE {};", side.settings.dbname)
        fix = f"{rebuild}\nALTER {object_} REFRESH {'COLLATION ' * (row['sort'] == 'DATABASE')}VERSION;"
        yield found(f"{side.name}.collation.version", row["name"], what, fix)


def _locales(source: Side, target: Side) -> Iterator[Finding]:
    (here,), (there,) = (
        dicts(side.conn, query("preflight/locale" if side.major >= 15 else "preflight/locale_before_15"))
        for side in (source, target)
    )
    if here["encoding"] != there["encoding"]:
        what = f"source {here['encoding']}, target {there['encoding']}"
        fix = (
            f"create the storage database with ENCODING '{here['encoding']}' TEMPLATE template0, or convert the source"
        )
        yield found("target.encoding.differs", target.settings.dbname, what, fix)
    differing = [key for key in here if key != "encoding" and here[key] != there[key]]
    if differing:
        pairs = ", ".join(f"{key} {here[key]} / {there[key]}" for key in differing)
        what = f"source / target: {pairs}; ORDER BY and range conditions on text may give other results"
        fix = "check the queries that sort or compare text, or create the storage database with the source's locale"
        yield found("target.collation.differs", target.settings.dbname, what, fix)


def _timeouts(side: Side) -> Iterator[Finding]:
    for name, setting in rows(side.conn, query("preflight/timeouts"), {"role": side.role}):
        what = f"{name} = {setting} holds for role {side.role}: it would cut the copy or the backup"
        fix = side.paste("ALTER ROLE {} IN DATABASE {} SET {} = 0;", side.role, side.settings.dbname, name)
        yield found(f"{side.name}.role.timeout", name, what, fix)


def _connections(side: Side) -> Iterator[Finding]:
    for row in dicts(side.conn, query("preflight/connections"), {"role": side.role}):
        if row["available"] >= CONNECTIONS:
            continue
        what = f"{count(row['available'])} connections left by {row['limited_by']}; a run opens up to {CONNECTIONS}"
        fix = {
            "role": side.paste("ALTER ROLE {} CONNECTION LIMIT -1;", side.role),
            "database": side.paste("ALTER DATABASE {} CONNECTION LIMIT -1;", side.settings.dbname),
        }.get(row["limited_by"], "raise max_connections, or end idle sessions")
        yield found(f"{side.name}.connections.few", row["limited_by"], what, fix)


def _capabilities(side: Side) -> Iterator[Finding]:
    if side.name == "source":
        return
    lz4 = value(side.conn, "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
    if not lz4:
        what = f"PostgreSQL {side.major} of the target has no lz4; large values are compressed with pglz"
        yield found("target.lz4.missing", "lz4", what, "nothing to do, or use a server (14 or newer) built with lz4")


def _extensions(source: Side, target: Side) -> Iterator[Finding]:
    parameters = {"oids": [table.oid for table in source.tables]}
    installed: Row = dict(
        rows(target.conn, "SELECT extname, nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace")
    )
    for name, schema, used in rows(source.conn, query("preflight/extensions"), parameters):
        create = source.paste("CREATE EXTENSION {} SCHEMA {};", name, schema)
        if not used:
            what = f"extension {name} is installed, no table to migrate uses it"
            yield found("source.extension.unused", name, what, "nothing to do")
        elif name not in installed:
            what = f"the tables use extension {name} (schema {schema}); the target does not have it"
            yield found("source.extension.missing", name, what, f"on the target, as a superuser: {create}")
        elif installed[name] != schema:
            what = f"extension {name} is in {schema} on the source, in {installed[name]} on the target"
            fix = source.paste("ALTER EXTENSION {} SET SCHEMA {};", name, schema)
            yield found("source.extension.schema", name, what, f"on the target, where the services name it: {fix}")


def _row_security(source: Side, target: Side) -> Iterator[Finding]:
    """The runbook owns the target's tables: a policy holds for it where row security is forced, as on the source."""
    statement = "SELECT relname FROM pg_class WHERE relforcerowsecurity AND oid = ANY (%s::oid[]) ORDER BY relname"
    forced = [name for (name,) in rows(source.conn, statement, [[table.oid for table in source.tables]])]
    exempt = value(
        target.conn, "SELECT bool_or(rolsuper OR rolbypassrls) FROM pg_roles WHERE rolname = %s", [target.role]
    )
    if forced and exempt is False:
        what = f"row security is forced on {', '.join(forced)}: where the lineage forces it too, it would hide rows"
        fix = target.paste("ALTER ROLE {} BYPASSRLS;", target.role)
        yield found("target.role.row_security", target.role, what, fix)
