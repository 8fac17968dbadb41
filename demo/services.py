"""The three services of the demo: where they live, their configuration and releases before the consolidation.

Each has a directory: `config.yml`, `passfile` and `token` (0600), `releases/1.0` and, for those that move,
`releases/2.0`, the link `current`, `socket`, and what the supervisor keeps.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from consolidation import files
from demo import releases, supervisor
from demo.servers import HOST, Server, ServerError

PROJECT = Path(__file__).parent.parent
NAMES = ("storage", "campaign", "image")
START_SECONDS = 30
MOVING = ("campaign", "image")
"""The services whose databases are consolidated."""

DIRECT = """\
# {title} of the demo.
server:
  host: {host}
  port: {port}    # behind the load balancer

# Where its records are.
database:
  type: postgresql
  host: {database.host}
  port: {database.port}
  dbname: {service}
  user: {service}_app
  passfile: "{directory}/passfile"
  sslmode: disable  # loopback only

# The Storage Service.
storage:
  url: '{storage_url}'
  token_file: {directory}/token
  retry_seconds: 1  # the demo's clients are answered early
"""

STORAGE = """\
# Storage Service of the demo.
server:
  host: {host}
  port: {port}

database:
  host: {database.host}
  port: {database.port}
  dbname: storage
  user: storage_service
  passfile: "{directory}/passfile"
  sslmode: disable  # loopback only

storage:
  databases: {{}}  # the runbook adds each database that it brings here

# Who may call: the hash of a service's token, and the one database it may use.
services:
{callers}"""


@dataclass(frozen=True)
class Service:
    """One service of the demo."""

    name: str
    directory: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        return supervisor.running(self.directory) is not None

    def start(self) -> None:
        """Start the current release; no change when it runs. Does not wait until it answers. Raises ServerError."""
        self._supervise("start")

    def wait_until_it_answers(self, seconds: float = START_SECONDS) -> None:
        """Raises ServerError when it ends, or does not answer in time."""
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                httpx.get(f"{self.url}/health", timeout=5, trust_env=False)
                return
            time.sleep(0.05)
        raise ServerError(f"the {self.name} service does not answer; see {self.directory / 'service.log'}")

    def restart(self) -> None:
        """End its process and start the current release; no connection is refused meanwhile."""
        self._supervise("restart")

    def stop(self) -> None:
        """Stop it; no change when it is down."""
        self._supervise("stop")

    def _supervise(self, action: str) -> None:
        # A process of its own, as when the runbook does it: a service is no child of the demo.
        command = [sys.executable, supervisor.__file__, str(self.directory), action]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"the {self.name} service did not {action}: {done.stderr.strip()}")


def create(directory: Path, servers: Mapping[str, Server], password_lines: Sequence[str]) -> dict[str, Service]:
    """Lay the services out below `directory`, on their own databases, not started.

    password_lines: the lines of a passfile with the password of every service's role.
    """
    directory.mkdir(mode=0o700)
    services = {name: Service(name, directory / name, port) for name, port in zip(NAMES, _free_ports(), strict=False)}
    tokens = {f"{name}_service": secrets.token_urlsafe(32) for name in MOVING}
    for service in services.values():
        (service.directory / "releases").mkdir(parents=True)
        _write_secrets(service, servers[service.name], password_lines, tokens)
        _write_configuration(service, servers[service.name], services["storage"], tokens)
        for version, requirements in _releases(service.name).items():
            releases.create(service.directory / "releases" / version, requirements)
        (service.directory / "current").symlink_to("releases/1.0")
        (service.directory / supervisor.SOCKET_FILE).write_text(f"{HOST}:{service.port}\n")
    return services


def _free_ports() -> Iterator[int]:
    """Free ports below those that systems give to outgoing connections: nothing takes them while a service restarts."""
    for port in random.sample(range(20_000, 30_000), 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            yield port


def _releases(name: str) -> dict[str, str]:
    """Version -> requirements."""
    if name not in MOVING:
        return {"1.0": f"{name}-service\n"}
    home = PROJECT / "services" / name
    files = {"1.0": "requirements-direct.txt", "2.0": "requirements-storage.txt"}
    return {version: (home / file).read_text() for version, file in files.items()}


def _write_secrets(service: Service, server: Server, lines: Sequence[str], tokens: Mapping[str, str]) -> None:
    role = f"{service.name}_app" if service.name in MOVING else "storage_service"
    own = [line for line in lines if line.startswith(f"{server.host}:{server.port}:") and f":{role}:" in line]
    files.write(service.directory / "passfile", "".join(own))
    if service.name in MOVING:
        files.write(service.directory / "token", tokens[f"{service.name}_service"] + "\n")


def _write_configuration(service: Service, database: Server, storage: Service, tokens: Mapping[str, str]) -> None:
    callers = ""
    for caller, token in tokens.items():
        digest = hashlib.sha256(token.encode()).hexdigest()
        callers += f"  {caller}:\n    database: {caller.removesuffix('_service')}_db\n    token_sha256: {digest}\n"
    text = (DIRECT if service.name in MOVING else STORAGE).format(
        title=f"{service.name.capitalize()} Service",
        service=service.name,
        host=HOST,
        port=service.port,
        database=database,
        directory=service.directory,
        storage_url=storage.url,
        callers=callers,
    )
    files.write(service.directory / "config.yml", text)
