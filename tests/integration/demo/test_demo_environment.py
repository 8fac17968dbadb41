"""The demo's environment: described by a file, seen by the inventory, gone when it was cleaned."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from demo.environment import PROJECT, Environment
from demo.servers import ServerError


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """For all tests of it; the last one removes it."""
    environment = Environment.create(tmp_path_factory.mktemp("environment") / "demo")
    yield environment
    environment.destroy()


def test_state_holds_no_password(environment: Environment) -> None:
    passwords = [line.split(":")[-1] for line in environment.passfile.read_text().splitlines()]
    state = (environment.directory / "state.json").read_text()
    assert not any(password in state for password in passwords)


def test_state_of_another_version_is_a_clear_error(tmp_path: Path) -> None:
    state = {"servers": {"campaign": {"directory": "/x", "bin": "/y", "unknown": 1}}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(ServerError, match="python -m demo clean"):
        Environment.load(tmp_path)


def test_inventory_describes_the_servers(environment: Environment) -> None:
    done = ansible(environment.directory, "debug", "var=hostvars[inventory_hostname]")
    found = json.loads(done.stdout.partition("=>")[2])["hostvars[inventory_hostname]"]
    database = found["consolidation_database"]
    campaign, storage = environment.servers["campaign"], environment.servers["storage"]
    assert (database["source"]["port"], database["target"]["port"]) == (campaign.port, storage.port)
    assert database["source"]["passfile"] == str(environment.passfile)
    assert found["consolidation_postgresql_bin"] == str(storage.bin)


def test_inventory_without_servers_says_what_to_do(tmp_path: Path) -> None:
    done = ansible(tmp_path, "command", "echo {{ consolidation_database.source.port }}")
    assert done.returncode != 0
    assert "python -m demo start" in done.stdout + done.stderr


def test_environment_is_found_again_stopped_started_and_removed(environment: Environment) -> None:
    assert Environment.load(environment.directory) == environment
    environment.stop()
    assert not any(server.running for server in environment.servers.values())
    environment.start()
    for name, server in environment.servers.items():
        conn = psycopg2.connect(
            host=server.host,
            port=server.port,
            dbname=name,
            user="consolidation",
            passfile=str(environment.passfile),
        )
        conn.close()
    for private in (environment.passfile, *(server.passfile for server in environment.servers.values())):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    environment.destroy()
    assert not environment.directory.exists()
    assert not any(server.directory.parent.exists() for server in environment.servers.values())
    assert Environment.load(environment.directory) is None


def ansible(directory: Path, module: str, arguments: str) -> subprocess.CompletedProcess[str]:
    """One task on campaign_db of the demo's inventory, with the demo in another directory than usual."""
    command = [str(Path(sys.executable).with_name("ansible")), "campaign_db", "-i", "inventories/demo", "-o"]
    command += ["-m", module, "-a", arguments, "-e", f"demo_directory={directory}"]
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, text=True, check=False)
