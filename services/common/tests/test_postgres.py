"""Connections: TLS as sslmode says, the password from a file, and errors that only mean what they say."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from service_common.config import PostgresConfig
from service_common.postgres import create_engine, problem_of
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from demo.servers import Server, installations
from services.tests.certificates import certificate

TLS_MAJOR = 15
"""Debian's; the wheels' servers are built without OpenSSL."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with TLS whose certificate is for `localhost`, not for 127.0.0.1."""
    if TLS_MAJOR not in installations():
        pytest.skip(f"no PostgreSQL {TLS_MAJOR} with OpenSSL on this machine")
    # PostgreSQL's account must be able to enter it, which it cannot below pytest's own folders.
    place = Path(tempfile.mkdtemp(prefix="consolidation-tls-"))
    place.chmod(0o711)
    server = Server.create("tls", TLS_MAJOR, place / "server")
    try:
        data = server.directory / "data"
        certificate(data, "server", x509.DNSName("localhost"))
        owner = data.stat()
        for file in (data / "server.key", data / "server.crt"):
            os.chown(file, owner.st_uid, owner.st_gid)
            file.chmod(0o600)
        with server.connect().cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET ssl = on")
        server.stop()
        server.start()
        yield server
    finally:
        server.destroy()
        shutil.rmtree(place)


@pytest.fixture
def config(server: Server, tmp_path: Path) -> dict[str, Any]:
    """The `database` section, without sslmode."""
    password = server.passfile.read_text().strip().rsplit(":", 1)[1]
    (tmp_path / "password").write_text(password + "\n")
    return {"port": server.port, "dbname": "postgres", "user": "postgres", "password_file": tmp_path / "password"}


def query(config: dict[str, Any], sql: str) -> Any:
    """The value of a query over a new engine."""

    async def main() -> Any:
        engine = create_engine(
            PostgresConfig(**config), "a test", json_serializer=json.dumps, json_deserializer=json.loads
        )
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(sql))
        finally:
            await engine.dispose()

    return asyncio.run(main())


TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.mark.parametrize(
    ("sslmode", "host", "encrypted"),
    [
        ("disable", "127.0.0.1", False),
        ("prefer", "127.0.0.1", True),
        ("require", "127.0.0.1", True),
        ("verify-ca", "127.0.0.1", True),
        ("verify-full", "localhost", True),
    ],
)
def test_connection_is_encrypted_as_sslmode_says(
    server: Server, config: dict[str, Any], sslmode: str, host: str, encrypted: bool
) -> None:
    # A root certificate beside `disable` does not switch TLS on.
    given = sslmode.startswith("verify") or sslmode == "disable"
    root = Path(server.directory / "data" / "server.crt") if given else None
    assert query(config | {"sslmode": sslmode, "host": host, "sslrootcert": root}, TLS) is encrypted


def test_verify_refuses_another_name_and_another_root(server: Server, config: dict[str, Any], tmp_path: Path) -> None:
    root = server.directory / "data" / "server.crt"
    other = certificate(tmp_path, "other", x509.IPAddress(IPv4Address("127.0.0.1")))
    for sslmode, host, trusted in (("verify-full", "127.0.0.1", root), ("verify-ca", "localhost", other)):
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            query(config | {"sslmode": sslmode, "host": host, "sslrootcert": trusted}, TLS)
        problem = problem_of(caught.value)
        assert problem is not None
        assert problem.status_code == 503


def test_wrong_password_is_503_and_not_told(config: dict[str, Any]) -> None:
    config["password_file"].write_text("hush-hush")
    with pytest.raises(Exception, match="password") as caught:
        query(config | {"host": "127.0.0.1"}, "SELECT 1")
    problem = problem_of(caught.value)
    assert problem is not None
    assert (problem.status_code, "hush" in problem.detail) == (503, False)


@pytest.mark.parametrize(
    ("sql", "status", "name"),
    [
        ("SELECT pg_sleep(10)", 503, "statement-timeout"),
        ("SELECT 'hush-hush'::int", 422, "invalid-value"),
        ("SELECT 1/0", 422, "invalid-value"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", 503, "database-unavailable"),
    ],
)
def test_sqlstates_have_a_meaning(config: dict[str, Any], sql: str, status: int, name: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        query(config | {"host": "127.0.0.1", "statement_timeout_seconds": 0.3}, sql)
    problem = problem_of(caught.value)
    assert problem is not None
    assert (problem.status_code, problem.name) == (status, name)
    assert "hush-hush" not in problem.detail


def test_fault_of_ours_is_no_problem_of_the_client(config: dict[str, Any]) -> None:
    with pytest.raises(DBAPIError) as caught:
        query(config | {"host": "127.0.0.1"}, "SELECT no_such_column")
    assert problem_of(caught.value) is None
