"""pg_capture and pg_follow as Ansible calls them: check mode says what they do, and again it is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from consolidation.errors import ConfigurationError
from consolidation.model import Database as Model
from tests.cluster import BEHIND_THE_FENCE, Database
from tests.following import Online
from tests.integration.follow.test_follow import same
from tests.modules import run_module
from tests.window import Window

TABLES = "CREATE TABLE plain (id int PRIMARY KEY, v text); CREATE TABLE no_key (v text);"


class Modules:
    """The two, with what every call has in common."""

    def __init__(self, capsys: pytest.CaptureFixture[str], window: Window, run_id: str) -> None:
        self.window, self._capsys, self._run_id = window, capsys, run_id

    def capture(self, side: str, state: str, *, check: bool = False) -> dict[str, Any]:
        return self._run("pg_capture", {"side": side, "state": state, "timeout_seconds": 5}, check=check)

    def follow(self, *, check: bool = False, **more: Any) -> dict[str, Any]:
        return self._run("pg_follow", {"to": "target", "lag_seconds": 5, "pause_seconds": 0, **more}, check=check)

    def verify(self) -> dict[str, Any]:
        return self._run("pg_verify_info", {"record": True}, check=False)

    def _run(self, name: str, options: dict[str, Any], *, check: bool) -> dict[str, Any]:
        given = {"database": {**self.window.options, "mode": "online"}, "run_id": self._run_id, **options}
        return run_module(self._capsys, name, check, given)


@pytest.fixture
def modules(source: Database, target: Database, capsys: pytest.CaptureFixture[str]) -> Modules:
    source.execute(f"{TABLES} INSERT INTO plain SELECT n, 'v' FROM generate_series(1, 20) n", role="campaign_owner")
    window = Window(source, target)
    run_id = window.begin()["run_id"]
    window.own_schema(TABLES)
    window.shut()
    return Modules(capsys, window, run_id)


def test_capture_is_planned_made_and_made_only_once(modules: Modules) -> None:
    for side, state in (("source", "on"), ("target", "prepared"), ("source", "absent")):
        planned = modules.capture(side, state, check=True)
        assert planned["changed"]
        assert planned["diff"]["before"] != planned["diff"]["after"]
        assert modules.capture(side, state, check=True)["changed"], "check mode changes nothing"
        done = modules.capture(side, state)
        if state != "absent":  # that belongs to a rollback
            assert (done["changed"], done["state"], done["diff"]) == (True, state, planned["diff"])
            assert not modules.capture(side, state)["changed"]
        else:
            assert "not being rolled back" in done["msg"]
    journal = modules.window.phases()["capture"].result
    assert (journal["source"]["state"], journal["target"]["state"]) == ("on", "prepared")


def test_the_target_does_not_note_before_it_opens(modules: Modules) -> None:
    assert "from its opening on" in modules.capture("target", "on")["msg"]


def test_follow_is_planned_done_and_compared(modules: Modules) -> None:
    online = Online(modules.window)
    assert "capture of the source is not on" in modules.follow()["msg"]
    modules.capture("source", "on")
    modules.follow()
    assert same(online)
    online.source.execute("UPDATE plain SET v = 'w' WHERE id < 4; INSERT INTO no_key VALUES ('x')", user="campaign_app")
    planned = modules.follow(check=True)
    assert planned["changed"]
    assert {line.split(":")[0] for line in planned["diff"]["prepared"].splitlines()} == {"plain", "no_key"}
    assert not same(online)
    done = modules.follow()
    assert same(online)
    assert modules.verify()["outcome"] == "equal"
    assert done["keys"] == 3
    assert modules.window.phases()["follow"].result["rounds"] == done["rounds"]


def test_a_difference_fails_it_and_the_next_run_repairs_it(modules: Modules) -> None:
    modules.capture("source", "on")
    modules.follow()
    modules.window.target.execute(f"{BEHIND_THE_FENCE}; DELETE FROM campaign_db.plain WHERE id = 7")
    failed = modules.verify()
    assert failed["failed"]
    assert "1 missing" in failed["msg"]
    assert not modules.verify().get("failed")
    assert same(Online(modules.window))


def test_back_needs_a_source_that_nobody_has_opened(modules: Modules) -> None:
    assert "has not opened the target" in modules.follow(to="source")["msg"]


def test_tables_that_are_moved_are_not_followed(target: Database) -> None:
    options = {**Window(target, target).options, "mode": "online"}
    with pytest.raises(ConfigurationError, match="moved"):
        Model.from_options(options)
