"""A real pgbouncer before a test server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from consolidation import files
from consolidation.postgres.connection import Settings

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def bounced(settings: Settings, directory: Path, **options: str | int) -> Iterator[Settings]:
    """The connection that leads through a pgbouncer of that configuration; a skip where there is none."""
    if PROGRAM is None:
        pytest.skip("NO PGBOUNCER HERE, no real pooler was tried: apt-get install pgbouncer")
    assert settings.passfile is not None
    port = _free_port()
    lines = [line.split(":") for line in Path(settings.passfile).read_text().splitlines()]
    [password] = [line[4] for line in lines if line[1] == str(settings.port) and line[3] == settings.user]
    home = directory / f"pgbouncer{port}"
    home.mkdir()
    home.chmod(0o755)
    common = {"listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "md5"}
    written = {**common, "auth_file": home / "users", **options}
    database = f"* = host={settings.host} port={settings.port}"
    configuration = "".join(f"{name} = {value}\n" for name, value in written.items())
    for name, text in (
        ("users", f'"{settings.user}" "{password}"\n'),
        ("ini", f"[databases]\n{database}\n[pgbouncer]\n{configuration}"),
    ):
        (home / name).write_text(text)
        (home / name).chmod(0o644)
    for folder in (directory, *directory.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    files.write(home / "passfile", f"127.0.0.1:{port}:*:{settings.user}:{password}\n")
    account = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        [PROGRAM, "-q", *account, home / "ini"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await(port, process)
        yield replace(settings, host="127.0.0.1", port=port, passfile=str(home / "passfile"))
    finally:
        process.terminate()
        process.wait(timeout=10)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        assert process.poll() is None, "pgbouncer ended at once"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("pgbouncer does not listen")
