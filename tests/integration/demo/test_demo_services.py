"""Releases hold what their requirements name; the supervisor knows what runs, and ends what it should end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from demo import releases, services, supervisor
from demo.environment import PROJECT
from demo.servers import Server

REQUIREMENTS = PROJECT / "services" / "campaign"


@pytest.mark.parametrize(
    ("requirements", "has", "lacks"),
    [
        ("requirements-direct.txt", ["sqlalchemy", "asyncpg", "greenlet"], ["storage_client", "msgspec"]),
        ("requirements-storage.txt", ["storage_client", "msgspec"], ["sqlalchemy", "asyncpg", "greenlet", "httpx"]),
    ],
)
def test_release_holds_its_requirements_and_nothing_else(
    tmp_path: Path, requirements: str, has: list[str], lacks: list[str]
) -> None:
    text = (REQUIREMENTS / requirements).read_text()
    releases.create(tmp_path / "1.0", text)
    assert (tmp_path / "1.0" / "requirements.txt").read_text() == text
    assert (tmp_path / "1.0" / ".ready").exists()

    def can_import(module: str) -> bool:
        command = [tmp_path / "1.0" / "venv" / "bin" / "python", "-I", "-c", f"import {module}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    modules = [*has, *lacks, "campaign_service.app", "uvicorn", "yaml", "ansible", "psycopg2", "pytest", "pip"]
    assert {module for module in modules if can_import(module)} == {*has, "campaign_service.app", "uvicorn", "yaml"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Path]:
    """A service's directory whose release sleeps; the process is ended at the end of the test."""
    directory = tmp_path / "sleeper"
    write_release(directory, "1.0", "exec sleep 600")
    (directory / "current").symlink_to("releases/1.0")
    yield directory
    supervisor.stop(directory, seconds=0)


def write_release(directory: Path, version: str, script: str) -> None:
    program = directory / "releases" / version / "venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def supervise(directory: Path, action: str) -> tuple[int, str]:
    """As an inventory calls it: by its path, from anywhere, with Python's own library alone."""
    command = [sys.executable, "-I", "-S", supervisor.__file__, directory, action]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout + done.stderr


def test_start_stop_and_restart_change_nothing_twice(service: Path) -> None:
    assert supervise(service, "status") == (3, "sleeper is down\n")
    assert supervise(service, "stop")[0] == 0
    assert supervise(service, "start")[0] == 0
    pid = supervisor.running(service)
    assert pid
    assert supervise(service, "start") == (0, f"sleeper runs as process {pid}\n")
    assert supervise(service, "status") == (0, f"sleeper runs as process {pid}\n")
    assert supervise(service, "restart")[0] == 0
    assert supervisor.running(service) not in (None, pid)
    assert not Path(f"/proc/{pid}/cmdline").exists() or Path(f"/proc/{pid}/cmdline").read_bytes() == b""
    assert supervise(service, "stop") == (0, "sleeper is down\n")
    assert supervise(service, "restart")[0] == 0  # starts what is down
    assert supervisor.running(service)


def test_killed_service_is_known_to_be_down_even_if_its_process_id_lives_on(service: Path) -> None:
    supervise(service, "start")
    os.kill(supervisor.running(service) or 0, signal.SIGKILL)
    wait_until_down(service)
    (service / "service.pid").write_text(str(os.getpid()))
    assert supervisor.running(service) is None
    supervisor.stop(service)  # does not end this test


def wait_until_down(service: Path) -> None:
    deadline = time.monotonic() + 5
    while supervisor.running(service):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_service_that_does_not_end_is_killed(service: Path) -> None:
    shutil.rmtree(service / "releases")
    write_release(service, "1.0", "trap '' TERM; while true; do sleep 0.05; done")
    supervise(service, "start")
    time.sleep(0.3)
    supervisor.stop(service, seconds=0.3)
    wait_until_down(service)


def test_running_service_stays_in_its_release_when_the_link_moves_on(service: Path) -> None:
    write_release(service, "2.0", 'echo "$0" > started_from; exec sleep 600')
    (service / "current").unlink()
    (service / "current").symlink_to("releases/2.0")
    supervise(service, "start")
    time.sleep(0.3)
    assert "/releases/2.0/" in (service / "started_from").read_text()


def test_missing_release_is_a_clear_error(service: Path) -> None:
    (service / "current").unlink()
    code, said = supervise(service, "start")
    assert code == 1
    assert "current" in said
    assert "Traceback" not in said


def test_services_are_laid_out_for_the_runbook(tmp_path: Path) -> None:
    servers = {
        name: Server(name, 16, port, tmp_path, tmp_path)
        for port, name in enumerate(("campaign", "image", "storage"), start=5001)
    }
    roles = {"campaign": "campaign_app", "image": "image_app", "storage": "storage_service"}
    lines = [f"127.0.0.1:{servers[name].port}:*:{role}:secret-of-{role}\n" for name, role in roles.items()]
    lines.append("127.0.0.1:5001:*:consolidation:secret-of-the-runbook\n")
    made = services.create(tmp_path / "services", servers, lines)
    assert len({service.port for service in made.values()}) == 3
    for name, service in made.items():
        assert (service.directory / "passfile").read_text() == next(
            line for line in lines if f":{roles[name]}:" in line
        )
        text = (service.directory / "config.yml").read_text()
        assert yaml.safe_load(text)["database"]["port"] == servers[name].port
        assert not re.search("secret-of", text)
        for private in (
            service.directory.glob("*.yml"),
            service.directory.glob("passfile"),
            service.directory.glob("tok*"),
        ):
            assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in private)
        assert (service.directory / "current").resolve().name == "1.0"
    assert not (made["storage"].directory / "releases" / "2.0").exists()
    token = (made["image"].directory / "token").read_text().strip()
    assert token not in (made["storage"].directory / "config.yml").read_text()
