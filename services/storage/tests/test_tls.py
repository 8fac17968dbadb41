"""The service's own TLS, and no token in clear but on the loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from pydantic import ValidationError
from storage_client import StorageClient
from storage_service.config import StorageServerConfig

from services.tests.certificates import certificate
from services.tests.harness import TOKENS, running, storage_configuration
from tests.cluster import Database


def settings(server: dict[str, object]) -> StorageServerConfig:
    return StorageServerConfig.model_validate({"port": 1} | server)


LOOPBACK = x509.IPAddress(IPv4Address("127.0.0.1"))


def test_served_over_tls_with_a_private_ca_and_a_new_certificate_at_sighup(storage: Database, directory: Path) -> None:
    first = certificate(directory, "first", LOOPBACK)
    shown, key = directory / "shown.crt", directory / "shown.key"
    shown.write_bytes(first.read_bytes())
    key.write_bytes((directory / "first.key").read_bytes())
    tls = {"certificate": str(shown), "key": str(key), "minimum_version": "1.3"}
    content = storage_configuration(storage) | {"server": {"tls": tls, "head_timeout_seconds": 1}}

    async def ask(url: str, ca: Path) -> dict[str, object]:
        async with StorageClient(url, TOKENS["campaign_db"], ca_file=ca, retry_seconds=0) as client:
            health = await client.health()
            if health["ok"]:
                await client.read("campaign_db", "campaigns")
            return health

    with running("storage_service", content, directory, ca=first) as service:
        assert asyncio.run(ask(service.url, first))["ok"] is True
        other = certificate(directory, "other", LOOPBACK)
        assert "SSLCertVerificationError" in str(asyncio.run(ask(service.url, other))["error"])
        port = int(service.url.rpartition(":")[2])
        # An older version of TLS, plain HTTP, and a handshake that never comes.
        old = ssl.create_default_context(cafile=first)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(OSError):  # noqa: PT011 - ssl's or a reset
            old.wrap_socket(plain, server_hostname="127.0.0.1")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" not in plain.recv(1000)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
            assert silent.recv(1000) == b""
        # Another certificate in the same files, then in others.
        shown.write_bytes(other.read_bytes())
        key.write_bytes((directory / "other.key").read_bytes())
        for ca in (other, first):
            os.kill(service.process.pid, signal.SIGHUP)
            deadline = time.monotonic() + 10
            while not asyncio.run(ask(service.url, ca))["ok"]:
                assert time.monotonic() < deadline, service.log.read_text()[-2000:]
                time.sleep(0.1)
            moved = service.config.read_text().replace("shown.", "first.")
            service.config.write_text(moved)
        # A certificate whose key has not come yet changes nothing, nor does the rest of the file.
        service.config.write_text(moved.replace("first.crt", "other.crt").replace("image_service", "another"))
        os.kill(service.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + 10
        while "cannot use the certificate" not in service.log.read_text():
            assert time.monotonic() < deadline, service.log.read_text()[-2000:]
            time.sleep(0.1)
        assert asyncio.run(ask(service.url, first))["ok"] is True


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "storage.example", "::"])  # noqa: S104 - that is the test
def test_no_token_in_clear_but_on_the_loopback(host: str) -> None:
    with pytest.raises(ValidationError, match="in clear"):
        settings({"host": host})
    settings({"host": host, "allow_plaintext": True})
    tls = {"certificate": "c.pem", "key": "k.pem"}
    settings({"host": host, "tls": tls})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_tls(host: str) -> None:
    settings({"host": host})


def test_unusable_certificate_ends_the_service_with_code_2(storage: Database, directory: Path) -> None:
    tls = {"certificate": str(directory / "absent.crt"), "key": str(directory / "absent.key")}
    with pytest.raises(AssertionError, match="cannot use the certificate"):  # noqa: SIM117 - the start is what fails
        with running("storage_service", storage_configuration(storage) | {"server": {"tls": tls}}, directory):
            pass
