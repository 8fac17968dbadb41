"""The modules that run on an application host: what they see there, and that they switch all or nothing."""

from __future__ import annotations

import base64
import importlib
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from services.tests.certificates import certificate
from tests.modules import run_module

BEFORE, AFTER = b"type: postgresql\r\n", b"type: storage_service\r\n"


class Answers(BaseHTTPRequestHandler):
    """`/ready` and `/health` are well, `/fenced` is not, `/text` speaks no JSON, `/soon` serves at the third asking.

    `/opens` says whether a database takes writes, and whether its changes are noted; not yet for `not_open` times.
    """

    asked = 0
    open = False
    not_open = 0
    capture = b"off"
    about = b'"ok": true, "age_seconds": 7'

    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/fenced" else 200)
        self.end_headers()
        if self.path == "/soon":
            Answers.asked += 1
            state = "current" if Answers.asked > 2 else "behind"
            self.wfile.write(b'{"ok": true, "lineages": {"campaign_db": "%s", "image_db": "behind"}}' % state.encode())
            return
        if self.path == "/opens":
            Answers.not_open -= 1
            writes = b"open" if Answers.open and Answers.not_open < 0 else b"fenced"
            state = b'{"writes": "%s", "capture": "%s"}' % (writes, Answers.capture)
            self.wfile.write(b'{%s, "databases": {"campaign_db": %s}}' % (Answers.about, state))
            return
        said = "healthy" if self.path == "/health" else "said"
        self.wfile.write(b"well" if self.path == "/text" else b'{"status": "%s"}' % said.encode())

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def host(tmp_path: Path, address: str) -> dict[str, Any]:
    """The options of service_switch for a host that is prepared; its configuration is reached by a link."""
    (tmp_path / "etc").mkdir()
    real = tmp_path / "etc" / "real.yml"
    real.write_bytes(BEFORE)
    real.chmod(0o640)
    (tmp_path / "config.yml").symlink_to(real)
    (tmp_path / "before").write_bytes(BEFORE)
    (tmp_path / "after").write_bytes(AFTER)
    (tmp_path / "current").symlink_to(tmp_path / "1.0")
    paths = {"config": "config.yml", "before": "before", "after": "after", "link": "current", "release": "2.0"}
    restart = [
        "sh",
        "-c",
        f"readlink {tmp_path}/current >> {tmp_path}/starts; cat {tmp_path}/config.yml >> {tmp_path}/starts",
    ]
    return {name: str(tmp_path / path) for name, path in paths.items()} | {
        "command": restart,
        "health_url": f"{address}/health",
    }


def starts(host: dict[str, Any]) -> list[str]:
    """Release and configuration at each restart."""
    log = Path(host["config"]).with_name("starts")
    return log.read_text().splitlines() if log.exists() else []


def state(host: dict[str, Any]) -> tuple[bytes, str, int]:
    config = Path(host["config"])
    assert config.is_symlink()
    return config.read_bytes(), Path(host["link"]).readlink().name, config.stat().st_mode & 0o777


def test_looks_at_files_and_reads_only_what_it_is_asked_for(
    host: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = str(tmp_path / "nothing")
    given = {"files": [host["before"], host["link"], nothing], "read": [host["config"], str(tmp_path / "none")]}
    result = run_module(capsys, "service_host_info", True, given)
    files = result["files"]
    assert not result["changed"]
    assert base64.b64decode(files[host["config"]]["content"]) == BEFORE
    assert files[host["config"]]["mode"] == "0640"
    assert files[host["before"]]["exists"]
    assert "content" not in files[host["before"]]
    assert files[host["link"]] == {
        "exists": False, "link": str(tmp_path / "1.0"), "readable": False, "writable": False,
    }  # fmt: skip
    assert not files[nothing]["exists"]
    assert "content" not in files[str(tmp_path / "none")]
    assert result["health"] == {"status": -1, "json": {}}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [("/ready", 200, {"status": "said"}), ("/fenced", 503, {"status": "said"}), ("/text", 200, {})],
)
def test_asks_for_the_health(
    address: str, path: str, status: int, said: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_module(capsys, "service_host_info", True, {"health_url": address + path})
    assert result["health"] == {"status": status, "json": said}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/health", "no address"])
def test_no_answer_is_told_not_failed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_module(capsys, "service_host_info", True, {"health_url": url})["health"] == {"status": -1, "json": {}}


@pytest.mark.parametrize("vouched", [True, False])
def test_asks_over_tls_what_a_ca_of_the_host_vouches_for(
    vouched: bool,
    host: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    importlib.import_module("service_switch").asking.cache_clear()
    shown = certificate(tmp_path, "service", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, shown.with_suffix(".key"))
    if vouched:
        monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        given = {"health_url": f"https://127.0.0.1:{server.server_port}/health"}
        seen = run_module(capsys, "service_host_info", True, given)["health"]["status"]
        switched = run_module(capsys, "service_switch", False, host | given | {"timeout_seconds": 0.3})
        server.shutdown()
    importlib.import_module("service_switch").asking.cache_clear()
    assert seen == (200 if vouched else -1)
    assert ("does not answer" in switched.get("msg", "")) != vouched


def test_switches_keeps_the_mode_and_restarts_on_the_new_side(
    host: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_module(capsys, "service_switch", True, host)["changed"]
    assert state(host) == (BEFORE, "1.0", 0o640)
    assert starts(host) == []
    for times in (1, 2):  # a run that was cut off after the switch restarts it again
        assert run_module(capsys, "service_switch", False, host)["changed"]
        assert state(host) == (AFTER, "2.0", 0o640)
        assert starts(host) == [f"{tmp_path}/2.0", AFTER.decode().strip()] * times


def test_a_restart_that_fails_is_told(host: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    host["command"] = ["sh", "-c", "echo port is taken >&2; exit 3"]
    assert "ended with 3: port is taken" in run_module(capsys, "service_switch", False, host)["msg"]


@pytest.mark.parametrize(
    "case",
    [
        ("/fenced", [], "it answers 503"),
        ("/ready", [], "it answers 200, {"),
        ("/text", [], "it answers 200 without JSON"),
        ("/soon", ["campaign_db", "image_db"], '"image_db": "behind"'),
        ("", [], "it does not answer"),
    ],
)
def test_a_service_that_is_not_well_is_told(
    host: dict[str, Any], address: str, case: tuple[str, list[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, lineages, said = case
    url = address + path if path else "http://127.0.0.1:9/health"
    host |= {"health_url": url, "timeout_seconds": 0.3, "lineages": lineages}
    result = run_module(capsys, "service_switch", False, host)
    assert result["failed"]
    assert f"{url} did not say healthy within 0.3 s" in result["msg"]
    assert said in result["msg"]


def test_the_storage_service_is_well_when_it_serves_the_lineages(
    host: dict[str, Any], address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Answers.asked = 0
    without = {name: value for name, value in host.items() if name not in ("link", "release")}
    given = without | {"health_url": f"{address}/soon", "timeout_seconds": 5, "lineages": ["campaign_db"]}
    assert run_module(capsys, "service_switch", False, given)["changed"]
    assert Answers.asked == 3
    assert state(host) == (AFTER, "1.0", 0o640)


def test_nothing_is_switched_before_the_opening(
    host: dict[str, Any], address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    opening = {"urls": [f"{address}/opens"], "database": "campaign_db", "wait_seconds": 0.3}
    Answers.open = False
    result = run_module(capsys, "service_switch", False, host | {"opening": opening})
    assert "did not call campaign_db writes open within 0.3 s: it answers 200" in result["msg"]
    assert (state(host), starts(host)) == ((BEFORE, "1.0", 0o640), [])
    Answers.open = True
    assert run_module(capsys, "service_switch", False, host | {"opening": opening})["changed"]
    assert state(host) == (AFTER, "2.0", 0o640)


def test_reads_the_systems_cas_once_however_long_it_waits(
    host: dict[str, Any], address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the service is about to start: for each request, that takes a third of a processor."""
    read: list[ssl.SSLContext] = []
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda **given: read.append(make(**given)) or read[-1])
    opening = {"urls": [f"{address}/opens"], "database": "campaign_db", "wait_seconds": 0.3}
    Answers.open = False
    run_module(capsys, "service_switch", False, host | {"opening": opening})
    assert len(read) <= 1


def test_back_nothing_is_switched_before_the_database_is_handed_over(
    host: dict[str, Any], address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = {"urls": [f"{address}/opens"], "database": "campaign_db", "side": "source", "wait_seconds": 0.2}
    for is_open, capture in ((True, b"on"), (True, b"off"), (False, b"on")):
        monkeypatch.setattr(Answers, "open", is_open)
        monkeypatch.setattr(Answers, "capture", capture)
        result = run_module(capsys, "service_switch", False, host | {"opening": opening})
        assert "did not call campaign_db writes fenced and capture off within 0.2 s" in result["msg"]
    monkeypatch.setattr(Answers, "capture", b"off")
    assert run_module(capsys, "service_switch", False, host | {"opening": opening})["changed"]


def test_says_how_long_after_the_opening_the_service_was_well_at_the_most(
    host: dict[str, Any], address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the last look that has not seen the opening; an answer is of an earlier moment than it comes."""
    opening = {"urls": [f"{address}/opens"], "database": "campaign_db", "wait_seconds": 5}
    host["command"] = ["sleep", "0.5"]
    monkeypatch.setattr(Answers, "open", True)
    monkeypatch.setattr(Answers, "not_open", 3)
    result = run_module(capsys, "service_switch", False, host | {"opening": opening})
    assert 7.5 < result["healthy_after_seconds"] < 10
    for not_open, about in (
        (0, Answers.about),  # opened before it was asked: nothing shows when
        (3, b'"ok": false, "age_seconds": 7'),  # a standby
        (3, b'"ok": true'),  # a release that does not say how old its answer is
    ):
        monkeypatch.setattr(Answers, "not_open", not_open)
        monkeypatch.setattr(Answers, "about", about)
        result = run_module(capsys, "service_switch", False, host | {"opening": opening})
        assert result["changed"]
        assert "healthy_after_seconds" not in result


@pytest.mark.parametrize("ending", ["a later command", "a rollback"])
def test_a_switch_that_waits_ends_when_it_is_no_longer_wanted(
    host: dict[str, Any], address: str, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    opening = {"urls": [f"{address}/opens"], "database": "campaign_db", "wait_seconds": 20}
    Answers.open = False

    def end() -> None:
        turn = tmp_path / ".service-switch"
        while not (turn.exists() and turn.stat().st_size):
            time.sleep(0.01)
        if ending == "a rollback":
            Path(host["after"]).unlink()
        else:
            turn.write_bytes(b"another")
            Answers.open = True

    other = threading.Thread(target=end)
    other.start()
    result = run_module(capsys, "service_switch", False, host | {"opening": opening})
    other.join()
    said = {"a later command": "a later command switches this host", "a rollback": "the run was rolled back"}
    assert said[ending] in result["msg"]
    assert (state(host), starts(host)) == ((BEFORE, "1.0", 0o640), [])


def test_back_it_takes_the_release_that_a_link_has_kept(
    host: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").symlink_to("1.0")
    run_module(capsys, "service_switch", False, host)
    back = host | {"before": host["after"], "after": host["before"], "release": str(tmp_path / "kept")}
    assert run_module(capsys, "service_switch", False, back)["changed"]
    assert state(host) == (BEFORE, "1.0", 0o640)


def test_files_are_written_whole_and_like_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, link, new = tmp_path / "there", tmp_path / "link", tmp_path / "new"
    there.write_bytes(b"old")
    there.chmod(0o640)
    link.symlink_to(there)
    files = [
        {"path": str(path), "content": base64.b64encode(b"new").decode(), "like": str(there)} for path in (link, new)
    ]
    checked = run_module(capsys, "service_files", True, {"files": files})
    assert (checked["changed"], there.read_bytes(), new.exists()) == (True, b"old", False)
    assert run_module(capsys, "service_files", False, {"files": files})["written"] == [str(link), str(new)]
    assert {path.read_bytes() for path in (there, new)} == {b"new"}
    assert {path.stat().st_mode & 0o777 for path in (there, new)} == {0o640}
    assert link.is_symlink()
    assert not run_module(capsys, "service_files", False, {"files": files})["changed"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "new", "there"]


def test_links_and_removes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, gone, dangling, folder = (tmp_path / name for name in ("made", "gone", "dangling", "folder"))
    made.symlink_to("elsewhere")
    gone.touch()
    dangling.symlink_to("nowhere")
    wanted = {
        "links": [{"path": str(made), "to": "releases/1"}],
        "absent": [str(gone), str(dangling), str(tmp_path / "no")],
    }
    checked = run_module(capsys, "service_files", True, wanted)
    assert (checked["changed"], str(made.readlink()), gone.exists()) == (True, "elsewhere", True)
    done = run_module(capsys, "service_files", False, wanted)
    assert (done["written"], done["removed"]) == ([str(made)], [str(gone), str(dangling)])
    assert [(path.name, str(path.readlink())) for path in tmp_path.iterdir()] == [("made", "releases/1")]
    assert not run_module(capsys, "service_files", False, wanted)["changed"]
    folder.mkdir()
    failed = run_module(capsys, "service_files", False, {"absent": [str(folder)]})
    assert (failed["failed"], f"{folder} cannot be changed" in failed["msg"]) == (True, True)


def test_goes_on_where_it_was_cut_off(host: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    left = [
        Path(host["link"]).with_name(".switch-current"),
        Path(host["config"]).resolve().with_name(".switch-real.yml"),
    ]
    left[0].symlink_to("left")
    left[1].write_bytes(b"half a file")
    assert run_module(capsys, "service_switch", False, host)["changed"]
    assert state(host) == (AFTER, "2.0", 0o640)
    assert not any(path.is_symlink() or path.exists() for path in left)


@pytest.mark.parametrize("lost", [None, "after", "config"])
def test_leaves_alone_what_it_was_not_prepared_for(
    host: dict[str, Any], lost: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if lost is None:
        Path(host["config"]).write_bytes(b"type: edited\n")
    else:
        Path(host[lost]).resolve().unlink()
    result = run_module(capsys, "service_switch", False, host)
    assert (result["changed"], result["edited"]) == (False, True)
    assert Path(host["link"]).readlink().name == "1.0"


def test_says_which_file_it_may_not_read(host: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path(host["after"]).unlink()
    Path(host["after"]).mkdir()
    result = run_module(capsys, "service_switch", False, host)
    assert result["failed"]
    assert host["after"] in result["msg"]
