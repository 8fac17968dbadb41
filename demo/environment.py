"""The demo's servers and services: created once, described by .demo/state.json, removed on request."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from consolidation import files
from demo import roles, services
from demo.servers import Server, ServerError, reachable
from demo.services import Service

PROJECT = Path(__file__).parent.parent
DIRECTORY = PROJECT / ".demo"
MAJORS = {"campaign": 16, "image": 16, "storage": 18}
"""Server -> version: the services are older than the storage, as in life."""

SERVER_SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "2GB"}


@dataclass(frozen=True)
class Environment:
    """The demo's servers (campaign, image, storage) and services (likewise), and the passfile of the roles."""

    directory: Path
    servers: Mapping[str, Server]
    services: Mapping[str, Service] = field(default_factory=dict)

    @property
    def passfile(self) -> Path:
        return self.directory / "passfile"

    @classmethod
    def load(cls, directory: Path = DIRECTORY) -> Environment | None:
        """The environment of an earlier start; None when there is none."""
        state = directory / "state.json"
        if not state.exists():
            return None
        described = json.loads(state.read_text())
        servers = {name: _server(each) for name, each in described["servers"].items()}
        found = {name: _service(each) for name, each in described.get("services", {}).items()}
        return cls(directory, servers, found)

    @classmethod
    def create(cls, directory: Path = DIRECTORY) -> Environment:
        """Create and start the servers with empty databases and roles, and lay the services out. Raises ServerError."""
        directory.mkdir(exist_ok=True)
        directory.chmod(0o711)  # PostgreSQL's account passes through; what is private below is 0600 or 0700
        place = _place_for_servers(directory)
        servers: dict[str, Server] = {}
        try:
            lines = []
            for name, major in MAJORS.items():
                servers[name] = server = Server.create(name, major, place / name, SERVER_SETTINGS)
                logins = roles.create_target(server) if name == "storage" else roles.create_source(server, name)
                lines += roles.give_passwords(server, logins)
            laid_out = services.create(directory / "services", servers, lines)
            environment = cls(directory, servers, laid_out)
            files.write(environment.passfile, "".join(lines))
            environment.save()
        except BaseException:
            for server in servers.values():
                server.destroy()
            shutil.rmtree(directory / "services", ignore_errors=True)
            raise
        return environment

    def save(self) -> None:
        """Describe it in state.json, for `load` and the inventory."""
        state = {
            "directory": str(self.directory),
            "passfile": str(self.passfile),
            "servers": {name: asdict(server) for name, server in self.servers.items()},
            "services": {name: asdict(service) | {"url": service.url} for name, service in self.services.items()},
        }
        files.write(self.directory / "state.json", json.dumps(state, indent=2, default=str) + "\n")

    def start(self) -> None:
        """Start the servers that are down."""
        for server in self.servers.values():
            server.start()

    def start_services(self) -> None:
        """Start the services that are down and wait until all answer. Raises ServerError."""
        for service in self.services.values():
            service.start()
        for service in self.services.values():
            service.wait_until_it_answers()

    def stop(self) -> None:
        """Stop the services and the servers; their data stays."""
        for service in self.services.values():
            service.stop()
        for server in self.servers.values():
            server.stop()

    def keep_reports(self) -> Path | None:
        """Move the run directories out of what `destroy` removes; where they are, None where there is none."""
        runs = self.directory / "runs"
        if not any(runs.glob("*/report.html")):
            return None
        kept = self.directory.with_name(f"{self.directory.name}-reports")
        kept.mkdir(exist_ok=True)
        for path in runs.iterdir():
            target = kept / path.name
            shutil.rmtree(target, ignore_errors=True)
            path.rename(target)
        return kept

    def destroy(self) -> None:
        """Stop everything and remove all that the demo made."""
        for service in self.services.values():
            service.stop()
        places = {server.directory.parent for server in self.servers.values()}
        for server in self.servers.values():
            server.destroy()
        for place in (*places, self.directory):
            shutil.rmtree(place, ignore_errors=True)


def _server(described: Mapping[str, object]) -> Server:
    paths = {name: Path(str(described[name])) for name in ("directory", "bin")}
    try:
        return Server(**{**described, **paths})  # type: ignore[arg-type]  # the fields as asdict() wrote them
    except TypeError as error:
        raise ServerError(f"state.json is of another version ({error}); run `python -m demo clean`") from error


def _service(described: Mapping[str, str]) -> Service:
    return Service(described["name"], Path(described["directory"]), int(described["port"]))


def _place_for_servers(directory: Path) -> Path:
    """Below the demo's directory, or elsewhere if PostgreSQL's account cannot enter that one (a checkout in /root)."""
    if reachable(directory):
        place = directory / "servers"
        place.mkdir(exist_ok=True)
    else:
        place = Path(tempfile.mkdtemp(prefix="consolidation-demo-", dir="/var/tmp"))
    place.chmod(0o711)
    return place
