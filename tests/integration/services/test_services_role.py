"""The role on an application host: files, releases and restarts, played by ansible-playbook. No database takes part."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
RUN = "20261122T020000Z"
SECRET = "a-very-secret-word"
BEFORE = f"""\
\ufeff# The Campaign Service\r
server: {{port: 8080}}   # behind the balancer\r
database:\r
  type: postgresql\r
  host: db.example\r
  password: '{SECRET}'\r
storage: {{token: {SECRET}}}\r
""".encode()
AFTER = BEFORE.replace(
    f"type: postgresql\r\n  host: db.example\r\n  password: '{SECRET}'".encode(),
    b"type: storage_service\r\n  schema: campaign_db\r\n  client: storage_client",
)


class Healthy(BaseHTTPRequestHandler):
    """Says that it is healthy; below `/old/` as a Storage Service that does not know the new database."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        state = "behind" if self.path.startswith("/old/") else "current"
        said = {
            "status": "healthy",
            "lineages": {"campaign_db": state},
            "databases": {"campaign_db": {"capture": "on"}},
        }
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def health_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/health"
    server.shutdown()
    server.server_close()


@dataclass
class Host:
    """An application host below a directory; its restart command notes what the service would have started with."""

    directory: Path
    health_url: str

    @property
    def config(self) -> Path:
        return self.directory / "config.yml"

    @property
    def current(self) -> str:
        return (self.directory / "current").resolve().name

    @property
    def starts(self) -> list[str]:
        """`release digest-of-the-configuration` at every restart."""
        log = self.directory / "starts"
        return log.read_text().splitlines() if log.exists() else []

    def create(self, content: bytes) -> Host:
        for release in ("1", "2"):
            (self.directory / "releases" / release).mkdir(parents=True)
        (self.directory / "releases" / "2" / ".ready").touch()
        (self.directory / "releases" / "2" / "requirements.txt").write_text("storage-client\n")
        (self.directory / "current").symlink_to("releases/1")
        self.config.write_bytes(content)
        self.config.chmod(0o640)
        return self

    def inventory(self) -> dict[str, Any]:
        seen = f'"$(basename $(readlink {self.directory}/current)) $(sha256sum < {self.config})"'
        note = f"echo {seen} >> {self.directory}/starts"
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        application = {
            "service_config": str(self.config),
            "service_health_url": self.health_url,
            "service_commands": {"restart": ["sh", "-c", note]},
            "service_release": str(self.directory),
            "service_release_next": "2",
        }
        database = {
            "consolidation_database": {"name": "campaign_db", "application_roles": ["a"], "target_roles": ["b"]},
            "consolidation_services": ["application"],
            "consolidation_run_directory": str(self.directory / "runs"),
            "services_health_seconds": 5,
        }
        serving = {
            "services_host": "application",
            "services_of": "{{ hostvars.application }}",
            "services_entries": {"campaign_db": {"schema": "campaign_db", "migrations": True, "backup": True}},
            "services_lineages": ["campaign_db"],
        }
        hosts = {"campaign_db": local | database | serving, "application": local | application}
        return {"all": {"hosts": hosts, "children": {"databases": {"hosts": {"campaign_db": {}}}}}}

    def play(self, *entries: str, options: tuple[str, ...] = ()) -> str:
        """Run entry points of the role; what ansible-playbook printed. Fails the test when it fails."""
        done = self.try_play(*entries, options=options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def try_play(self, *entries: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        (self.directory / "play.json").write_text(json.dumps([_play(entry) for entry in entries]))
        (self.directory / "inventory.json").write_text(json.dumps(self.inventory()))
        command = ["ansible-playbook", "-i", str(self.directory / "inventory.json"), str(self.directory / "play.json")]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        return subprocess.run(
            [*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )


def _play(entry: str) -> dict[str, Any]:
    """A play of one entry point, with the journal as it is then, or in the state after a colon."""
    entry, _, state = entry.partition(":")
    run = {"state": state or ("rolling_back" if entry in ("back", "returned") else "migrating")}
    journal = {"run_id": RUN, "run": run, "cut_over": True, "restored": False}
    return {
        "hosts": "databases",
        "gather_facts": False,
        "vars": {"journal_run": journal if state != "unbegun" else {"run_id": "", "run": {}}},
        "tasks": [{"ansible.builtin.import_role": {"name": "services", "tasks_from": entry}}],
    }


@pytest.fixture
def host(tmp_path: Path, health_url: str) -> Host:
    return Host(tmp_path, health_url).create(BEFORE)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def seen_by_the_service(starts: list[str]) -> list[tuple[str, str]]:
    return [(line.split()[0], line.split()[1]) for line in starts]


def test_over_and_back_again_with_the_very_bytes_and_no_secret_in_sight(host: Host) -> None:
    checked = host.play("prepare", "switch", "switched", options=("--check", "--diff", "-vvv"))
    assert "+database.schema: campaign_db" in checked
    assert (host.config.read_bytes(), host.current, host.starts) == (BEFORE, "1", [])
    assert not list(host.directory.glob("config.yml.*"))

    over = host.play("prepare", "switch", "switched", options=("--diff", "-vvv"))
    assert (host.config.read_bytes(), host.current) == (AFTER, "2")
    assert host.config.stat().st_mode & 0o777 == 0o640
    assert {path.stat().st_mode & 0o777 for path in host.directory.glob("config.yml.*")} == {0o640}
    assert seen_by_the_service(host.starts) == [("2", digest(AFTER))]

    back = host.play("back", "returned", options=("--diff", "-vvv"))
    assert (host.config.read_bytes(), host.current) == (BEFORE, "1")
    assert host.config.stat().st_mode & 0o777 == 0o640
    assert seen_by_the_service(host.starts) == [("2", digest(AFTER)), ("1", digest(BEFORE))]

    evidence = "".join(path.read_text() for path in (host.directory / "runs").rglob("*.json"))
    assert "database.password: [redacted]" in evidence
    assert SECRET not in checked + over + back + evidence


class TwoDatabases(Host):
    """Each with a host of its own."""

    def inventory(self) -> dict[str, Any]:
        found = super().inventory()
        hosts, databases = found["all"]["hosts"], found["all"]["children"]["databases"]["hosts"]
        hosts["another"] = hosts["application"]
        hosts["image_db"] = hosts["campaign_db"] | {"consolidation_services": ["another"]}
        databases["image_db"] = {}
        return found


def test_the_hosts_of_several_databases_are_looked_at_side_by_side(
    tmp_path: Path, health_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ansible plays an include once for all databases only where it is the same for each of them."""
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "default")
    host = TwoDatabases(tmp_path, health_url).create(BEFORE)
    said = host.play("preflight", options=("-v",))
    assert said.count("TASK [services : look | Look at the host, and judge what is found]") == 1
    assert all(f"ok: [{name} -> {at}" in said for name, at in (("campaign_db", "application"), ("image_db", "another")))


def test_done_again_it_changes_nothing(host: Host) -> None:
    host.play("prepare", "switch", "switched")
    kept = {path: path.read_bytes() for path in host.directory.glob("config.yml*")}
    again = host.play("prepare", "switch", "switched")
    assert {path: path.read_bytes() for path in host.directory.glob("config.yml*")} == kept
    assert "changed=1 " in again, "only the restart, which a run that was cut off may still owe"
    host.play("back", "returned", "back", "returned")
    assert host.config.read_bytes() == BEFORE


def test_an_edit_between_preparation_and_window_is_kept(host: Host) -> None:
    host.play("prepare")
    host.config.write_bytes(BEFORE.replace(b"8080", b"9090"))
    host.play("switch", "switched", "back", "returned")
    assert seen_by_the_service(host.starts)[0] == ("2", digest(AFTER.replace(b"8080", b"9090")))
    assert host.config.read_bytes() == BEFORE.replace(b"8080", b"9090")


def test_an_edit_after_the_cutover_is_kept_by_a_rollback_and_said(host: Host) -> None:
    host.play("prepare", "switch", "switched")
    host.config.write_bytes(AFTER.replace(b"8080", b"9090"))
    said = host.play("back", "returned", options=("-v",))
    assert host.config.read_bytes() == BEFORE.replace(b"8080", b"9090")
    wanted = "was edited since the cutover; only its database section goes back, the edits stay"
    assert wanted in " ".join(said.split())


def test_no_host_waits_for_a_source_that_was_restored_from_its_dump(host: Host) -> None:
    """What the target has noted is newer than the dump: rows are compared, for longer than a host would wait."""
    asked = {
        "services_hosts": ["application"],
        "services_storage_hosts": ["application"],
        "services_opening_seconds": 1,
    }
    assert "ansible_job_id" in host.play("returning:rolling_back", options=("-v", "-e", json.dumps(asked)))
    journal = {"run_id": RUN, "run": {"state": "rolling_back"}, "cut_over": True, "restored": True}
    restored = host.play("returning", options=("-v", "-e", json.dumps(asked | {"journal_run": journal})))
    assert "ansible_job_id" not in restored


@pytest.mark.parametrize(("seconds", "begun"), [(900, 1), (0, 2)])
def test_hosts_that_have_waited_for_long_are_begun_anew(host: Host, seconds: int, begun: int) -> None:
    """They would give up, before the target is opened; those that wait since a moment ago go on waiting."""
    asked = {"services_storage_hosts": ["application"], "services_opening_seconds": seconds}
    said = host.play("prepare", "switch", "switch", options=("-v", "-e", json.dumps(asked)))
    assert said.count("ansible_job_id") == begun
    assert host.starts == []
    (host.directory / f"config.yml.after-{RUN}").unlink()  # they end


def test_a_configuration_behind_a_link_stays_behind_it(host: Host) -> None:
    real = host.directory / "shared.yml"
    host.config.rename(real)
    host.config.symlink_to("shared.yml")
    host.play("prepare", "switch", "switched", "back", "returned")
    assert seen_by_the_service(host.starts) == [("2", digest(AFTER)), ("1", digest(BEFORE))]
    assert host.config.is_symlink()
    assert real.read_bytes() == BEFORE


def test_a_configuration_in_json_is_refused_before_anything_is_staged(tmp_path: Path, health_url: str) -> None:
    before = b'{"database": {"type": "postgresql"}, "n": 1.10}'
    host = Host(tmp_path, health_url).create(before)
    done = host.try_play("preflight", "refuse")
    assert done.returncode != 0
    assert "blockers on the hosts of its service: service.config.unexpected" in done.stdout
    assert "database is no block mapping" in done.stdout
    assert host.config.read_bytes() == before


def test_a_release_is_built_from_its_wheelhouse_before_the_window(host: Host) -> None:
    release = host.directory / "releases" / "2"
    (release / ".ready").unlink()
    (release / "wheelhouse").mkdir()
    with zipfile.ZipFile(release / "wheelhouse" / "storage_client-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("storage_client.py", "")
        wheel.writestr(
            "storage_client-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: storage-client\nVersion: 1\n"
        )
        wheel.writestr(
            "storage_client-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("storage_client-1.dist-info/RECORD", "")
    host.play("prepare")
    assert host.current == "1", "it is switched in the window"
    assert subprocess.run([release / "venv/bin/python", "-c", "import storage_client"], check=False).returncode == 0
    assert (release / ".ready").exists()


def test_a_release_that_cannot_be_built_stops_before_the_fence(host: Host) -> None:
    release = host.directory / "releases" / "2"
    (release / ".ready").unlink()
    (release / "wheelhouse").mkdir()
    done = host.try_play("prepare")
    assert done.returncode != 0
    assert "No matching distribution found for storage-client" in done.stdout
    assert not (release / ".ready").exists()
    assert (host.config.read_bytes(), host.current) == (BEFORE, "1")


def test_preflight_collects_the_findings_and_stops(host: Host) -> None:
    host.play("preflight", "refuse", options=("--check",))
    (host.directory / "releases" / "2" / "requirements.txt").write_text("asyncpg\nstorage-client\n")
    host.config.write_text(f"database: {{type: mysql, password: {SECRET}}}\n")
    done = host.try_play("preflight", "refuse", options=("-vvv",))
    assert done.returncode != 0
    assert (
        "blockers on the hosts of its service: service.config.unexpected, service.release.requirements" in done.stdout
    )
    assert "database.type is mysql, expected postgresql" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_preflight_finds_that_the_storage_service_lets_the_service_in_nowhere(host: Host) -> None:
    host.config.write_text("database:\n  type: postgresql\nstorage:\n  databases: {}\n")  # both services'
    entry = {"schema": "campaign_db", "migrations": True, "backup": True}
    storage = {"services_storage_hosts": ["application"], "consolidation_storage_entry": entry}
    done = host.try_play("preflight", "refuse", options=("-e", json.dumps(storage)))
    assert done.returncode != 0
    assert "storage_service.caller.missing. Nothing was changed" in done.stdout
    host.play("preflight", "refuse", options=("-e", json.dumps(storage | {"services_hosts": []})))


def test_what_a_rollback_needs_stays_until_nothing_needs_it(host: Host) -> None:
    earlier = [f"config.yml.{side}-20261121T020000Z-2" for side in ("before", "after")]
    others = ["config.yml.before-christmas", f"config_yml.before-{RUN}", f"other.yml.before-{RUN}", f"not-before-{RUN}"]
    for name in (*earlier, *others):
        (host.directory / name).touch()
    (host.directory / "before-20261121T020000Z-2").symlink_to("releases/1")
    host.play("tidy:unbegun", options=("--check",))
    assert {*earlier, *others} <= left_by_runs(host)
    host.play("prepare", "switch", "switched", "tidy:migrated")
    mine = {f"config.yml.before-{RUN}", f"config.yml.after-{RUN}", f"before-{RUN}"}
    assert left_by_runs(host) == {*mine, *others}
    host.play("back", "returned")  # interrupted here, it is done again
    host.play("back", "returned", "tidy:rolling_back")
    assert left_by_runs(host) == set(others)
    assert (host.config.read_bytes(), host.current) == (BEFORE, "1")
    assert "changed=0 " in host.play("tidy:rolled_back")


SERVING = f"""\
# The Storage Service\r
database: {{host: storage.example, password: '{SECRET}'}}\r
storage:\r
  databases: {{}}   # none yet\r
""".encode()


def test_the_storage_service_gets_the_database(tmp_path: Path, health_url: str) -> None:
    host = Host(tmp_path, health_url).create(SERVING)
    assert "the Storage Service would be restarted" in host.play("serve_host", options=("--check",))
    assert (host.config.read_bytes(), host.starts) == (SERVING, [])
    said = host.play("serve_host", options=("-vvv",))
    given = host.config.read_bytes()
    assert b"campaign_db" in given
    assert host.config.stat().st_mode & 0o777 == 0o640
    assert seen_by_the_service(host.starts) == [("1", digest(given))]
    assert SECRET not in said
    assert "changed=0 " in host.play("serve_host")
    assert "the Storage Service would be restarted" not in host.play("serve_host", options=("--check",))


def test_a_storage_service_that_cannot_serve_the_database_serves_the_others_on(tmp_path: Path, health_url: str) -> None:
    host = Host(tmp_path, health_url.replace("/health", "/old/health")).create(SERVING)
    done = host.try_play("serve_host", options=("-vvv",))
    assert done.returncode != 0
    assert "the Storage Service does not serve campaign_db" in done.stdout
    assert "It has its former configuration again" in done.stdout
    assert host.config.read_bytes() == SERVING
    assert host.config.stat().st_mode & 0o777 == 0o640
    restarts = seen_by_the_service(host.starts)
    assert (len(restarts), restarts[-1]) == (2, ("1", digest(SERVING)))
    assert SECRET not in done.stdout + done.stderr

    entry = b"  databases:\r\n    campaign_db: {schema: campaign_db, migrations: true, backup: true}\r\n"
    host.config.write_bytes(SERVING.replace(b"  databases: {}   # none yet\r\n", entry))
    said = host.try_play("serve_host").stdout
    assert "Its configuration had the entry already and stays" in said
    assert "It has its former configuration again" not in said
    assert entry in host.config.read_bytes()


def left_by_runs(host: Host) -> set[str]:
    return {path.name for path in host.directory.iterdir() if "before-" in path.name or "after-" in path.name}


def test_what_could_not_be_taken_back_is_refused_before_the_fence(host: Host) -> None:
    host.config.write_bytes(AFTER)
    done = host.try_play("prepare")
    assert done.returncode != 0
    assert "points at the Storage Service already, and this run has not kept what it was before" in done.stdout
    gone = host.try_play("back", "returned")
    assert gone.returncode != 0
    assert "is missing. The source is open and has every write" in gone.stdout
