"""What the READMEs of the packages show is run."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import textwrap
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from cryptography import x509
from service_common.config import load
from service_common.reference.backend import DirectConfig, RemoteConfig, ServiceSettings
from storage_client import CampaignDBClient, StorageClient
from storage_service.auth import token_sha256
from storage_service.config import Settings

from services.tests.certificates import certificate
from services.tests.harness import EMPTY, TOKENS, Running, running, storage_configuration
from tests.cluster import Database

SERVICES = Path(__file__).parents[2]
READMES = {path.parent.name: path.read_text() for path in SERVICES.glob("*/README.md")}


def blocks(package: str, language: str) -> list[str]:
    """The code blocks of a package's README."""
    return re.findall(rf"^```{language}\n(.*?)^```$", READMES[package], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("package", READMES)
def test_what_is_installed_is_there(package: str) -> None:
    lines = re.findall(r"^    pip install (.*)$", READMES[package], re.MULTILINE)
    assert lines, "how it is installed"
    for line in lines:
        # Names alone would be asked of the package index, where anybody may have taken them.
        ours = [word for word in line.partition("#")[0].split() if not re.match("'(SQLAlchemy|asyncpg)", word)]
        assert f"services/{package}" in ours
        assert all((SERVICES.parent / each / "pyproject.toml").exists() for each in ours), line


async def _run(code: str, names: dict[str, Any]) -> dict[str, Any]:
    """Names after the code of a block ran, which may await."""
    body = textwrap.indent(code, "    ")
    exec(f"async def block(names):\n    globals().update(names)\n{body}\n    return locals()", at := {})  # noqa: S102
    found: dict[str, Any] = await at["block"](names)
    return found


def test_the_clients_code_runs(service: Running, storage: Database) -> None:
    storage.execute(EMPTY)
    first, typed, again, fake = blocks("storage-client", "python")
    address = '"https://storage.example:8100", token, ca_file="/etc/campaign/ca.crt"'
    assert address in first
    first = first.replace(address, f'"{service.url}", token')
    typed = typed.replace('"inventory_db", "items"', '"campaign_db", "campaigns"')

    async def main() -> None:
        names: dict[str, Any] = {"token": TOKENS["campaign_db"], "creator": uuid4(), "owner": uuid4()}
        made = (await _run(first, names))["campaign"]
        async with StorageClient(service.url, TOKENS["campaign_db"]) as client:
            found = await _run(typed, {"storage": client, "id": made.id})
            assert found["item"].name == found["item"]["name"] == "a campaign"
            # The values lack what the table needs; the two names are what the block is about.
            more = {"db": CampaignDBClient(client), "uuid4": uuid4}
            complete = again.replace(
                '"name": "a campaign"}', f'"name": "n", "creator_id": "{uuid4()}", "owner_id": "{uuid4()}"}}'
            )
            written = await _run(complete, more)
            assert written["campaign"].idempotency_key == written["key"]
        await _run(fake, {"id": uuid4()})

    asyncio.run(main())
    assert storage.value("SELECT count(*) FROM campaign_db.campaigns") == 2


def test_the_storage_services_file_is_one(tmp_path: Path) -> None:
    [content] = blocks("storage", "yaml")
    path = tmp_path / "storage.yml"
    path.write_text(content.replace("token_sha256: …", f"token_sha256: {token_sha256('t')}"))
    settings = load(path, Settings)
    # Defaults are shown as they are.
    for section, shown in (("server", settings.server), ("database", settings.database)):
        fields = type(shown).model_fields
        given = yaml.safe_load(content)[section]
        for name, field in fields.items():
            if name in given and not field.is_required() and isinstance(field.default, int | float):
                assert getattr(shown, name) == field.default, name


@pytest.mark.parametrize("package", ["campaign", "image"])
def test_the_reference_services_file_is_one(package: str, tmp_path: Path) -> None:
    [content] = blocks(package, "yaml")
    path = tmp_path / "service.yml"
    path.write_text(content)
    assert isinstance(load(path, ServiceSettings).database, DirectConfig)
    before, after = re.split(
        r"^# database:.*\n",
        re.sub(r"(?s)^database:.*?(?=^# database)", "", content, flags=re.MULTILINE),
        flags=re.MULTILINE,
    )
    path.write_text(before + "database:\n" + re.sub("^#", "", after, flags=re.MULTILINE))
    assert isinstance(load(path, ServiceSettings).database, RemoteConfig)


def test_the_service_of_ten_lines_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = blocks("common", "python")
    (tmp_path / "hello.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    with running("hello", {}, tmp_path) as service:
        assert service.http.get("/hello/world").json() == {"hello": "world"}
        assert service.http.get("/hello/w0rld").json()["type"] == "urn:problem:invalid-name"
        assert service.http.get("/nothing").headers["Content-Type"] == "application/problem+json"


def test_the_commands_of_a_caller_run_over_tls(storage: Database, directory: Path) -> None:
    [commands] = blocks("storage", "sh")
    storage.execute(EMPTY)
    ca = certificate(directory, "readme", x509.IPAddress(IPv4Address("127.0.0.1")))
    tls = {"certificate": str(ca), "key": str(directory / "readme.key")}
    (directory / "readme-token").write_text(TOKENS["campaign_db"])
    with running(
        "storage_service", storage_configuration(storage) | {"server": {"tls": tls}}, directory, ca=ca
    ) as service:
        commands = commands.replace("https://storage.example:8100", service.url)
        commands = commands.replace("/etc/campaign/ca.crt", str(ca)).replace(
            "/etc/campaign/token", str(directory / "readme-token")
        )
        ended = subprocess.run(
            ["/bin/sh", "-eu", "-c", commands], capture_output=True, text=True, timeout=60, check=True
        )
    assert ended.stdout.count('"name":"a campaign"') == 2
    assert '"next_cursor":null' in ended.stdout
