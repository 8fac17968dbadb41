"""Hooks are told what happens, within their limits and without secrets; metrics are what a scraper reads."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consolidation.errors import ConfigurationError, StepRefused
from consolidation.notices import hooks, metrics
from consolidation.notices.outbox import Outbox
from consolidation.report import phase as report
from tests.report_facts import database, journal, table, with_services

BODY = {"event": "begin", "run_id": "1", "database": "campaign_db", "at": "2026-11-22T02:00:00+00:00"}
SECRET = "5ecret"
FOLLOWED = {"name": "follow", "result": {"lag_seconds": 0.25}}


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    """(URL, the bodies that it got); what is posted to /broken is refused."""
    got: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path.startswith("/broken") else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}", got
        serving.shutdown()


def script(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [sys.executable, str(path), SECRET]


def told(*options: dict[str, Any], body: dict[str, Any] = BODY) -> list[str]:
    return hooks.deliver([hooks.Hook.from_options(each) for each in options], body)


def test_a_command_and_a_url_get_the_same_body(tmp_path: Path, server: tuple[str, list[Any]]) -> None:
    url, got = server
    keep = script(tmp_path / "hook.py", f"import sys; open({str(tmp_path / 'got')!r}, 'w').write(sys.stdin.read())")
    other = {"command": ["false"], "events": ["finished"]}
    assert told({"command": keep}, {"url": f"{url}/{SECRET}"}, other) == []
    assert json.loads((tmp_path / "got").read_text()) == BODY
    assert got == [BODY]


def test_what_fails_is_named_without_its_secrets_and_has_a_limit(tmp_path: Path, server: tuple[str, list[Any]]) -> None:
    url, _ = server
    slow = script(tmp_path / "slow.py", "import time; time.sleep(60)")
    began = time.monotonic()
    failed = told(
        {"command": slow, "timeout_seconds": 0.5},
        {"command": script(tmp_path / "bad.py", f"import sys; sys.exit('{SECRET}')")},
        {"command": ["/no/such/hook", SECRET]},
        {"url": f"{url}/broken/{SECRET}"},
        {"url": f"http://127.0.0.1:1/{SECRET}"},
    )
    assert time.monotonic() - began < 20
    assert [failure.partition(" ")[0] for failure in failed] == ["hook"] * 5
    assert "took longer than 0.5 s" in failed[0]
    assert "ended with 1" in failed[1]
    assert "No such file" in failed[2]
    assert "http://127.0.0.1 answered 500" in failed[3]
    assert "could not be reached" in failed[4]
    assert SECRET not in "".join(failed)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"command": "rm -rf"},
        {"command": ["a"], "url": "http://b"},
        {"url": "file:///etc"},
        {"url": "http://b", "event": "x"},
        {"url": "http://b", "events": ["fense"]},
    ],
)
def test_a_hook_that_is_wrong_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        hooks.Hook.from_options(options)


def test_before_the_fence_a_hook_that_fails_stops_the_run() -> None:
    wanted = hooks.of_event([{"command": ["false"], "events": ["begin"]}], "begin")
    with pytest.raises(StepRefused, match="campaign_db: hook false ended with 1") as caught:
        hooks.require(wanted, BODY)
    assert "writes are accepted" in caught.value.hint
    assert hooks.of_event([{"command": ["false"], "events": ["fence"]}], "begin") == []


def test_behind_the_fence_nobody_waits_and_what_failed_is_said_at_the_end(tmp_path: Path) -> None:
    slow = script(tmp_path / "slow.py", "import time; time.sleep(2)")
    outbox = Outbox()
    began = time.monotonic()
    for _ in range(2):
        outbox.notify([{"command": slow}, {"command": ["false"]}], "opened", "campaign_db", outage_seconds=4.2)
    outbox.notify([{"oops": 1}], "failed", "campaign_db")
    assert time.monotonic() - began < 1.5
    failed = outbox.failures()
    assert len(failed) == 2, "an event of a database is told once"
    assert failed[0] == "opened: hook false ended with 1"
    assert failed[1].startswith("failed: a hook has unknown options")


def test_metrics_of_a_run_are_read_by_a_scraper(tmp_path: Path) -> None:
    facts = journal(
        with_services(database('odd"\nname', tables=[table("campaigns")])),
        database("image_db", "migrating", "verify", phase_state="failed"),
    )
    facts["databases"][1]["phases"].insert(3, facts["databases"][1]["phases"][0] | FOLLOWED)
    content = report.apply(report.plan(facts, tmp_path, {"migrate": "M", "rollback": "R"}, ["campaign_db"]))
    text = metrics.text(json.loads(Path(content["path"]).with_name("report.json").read_text()))
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["consolidation_rows", 'odd"\nname'] == 20_000
    assert samples["consolidation_write_outage_seconds", "database", "migration", 'odd"\nname'] == pytest.approx(20.9)
    assert samples["consolidation_write_outage_seconds", "migration", 'odd"\nname', "services"] == pytest.approx(23.1)
    assert samples["consolidation_follow_lag_seconds", "image_db"] == 0.25
    assert samples["consolidation_writes_refused", "image_db"] == 1
    assert samples["consolidation_writes_refused", 'odd"\nname'] == 0
    assert samples["consolidation_run_info", facts["run"]["id"], "failed", "image_db"] == 1
    metrics.write(tmp_path / "consolidation.prom", text)
    assert (tmp_path / "consolidation.prom").stat().st_mode & 0o777 == 0o644
    with pytest.raises(ConfigurationError, match="cannot write"):
        metrics.write(tmp_path / "missing" / "consolidation.prom", text)
