"""Where a machine cannot have hosts, one sentence says why and what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import hosts


@pytest.fixture(autouse=True)
def able_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that could; each test takes one thing away. Nothing outside tmp_path is touched."""
    monkeypatch.setattr(hosts.os, "geteuid", lambda: 0)
    monkeypatch.setattr(hosts.shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(hosts, "CACHE", tmp_path)


def complaint(*arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        hosts.main(list(arguments))
    return str(caught.value.code)


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts.os, "geteuid", lambda: 1000)
    assert complaint("destroy").startswith("hosts: real hosts need root")


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts.shutil, "which", lambda program: None if program == "debootstrap" else shutil.__name__)
    assert complaint("destroy").endswith("apt-get install --no-install-recommends debootstrap")


def test_beside_another_process_that_changes_the_hosts() -> None:
    with hosts.exclusive():
        assert "another process" in complaint("destroy")


def test_a_host_that_does_not_exist() -> None:
    assert "there is no host nowhere" in complaint("start", "nowhere")


def test_an_unknown_command() -> None:
    assert "create < hosts.json" in complaint("explode")


@pytest.mark.parametrize(
    ("used", "refused"), [("10.213.57.0/24", True), ("10.0.0.0/8", True), ("10.213.58.0/24", False)]
)
def test_a_network_that_is_in_use(monkeypatch: pytest.MonkeyPatch, used: str, refused: bool) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(hosts, "run", answers({"-json": json.dumps([{"dst": used, "dev": "eth7"}])}, calls))
    if refused:
        with pytest.raises(hosts.HostsError, match="in use on eth7"):
            hosts.make_bridge("10.213.57.1/24")
        assert len(calls) == 1
    else:
        hosts.make_bridge("10.213.57.1/24")
        assert ("ip", "address", "add", "10.213.57.1/24", "dev", hosts.BRIDGE) in calls


def test_destroy_does_not_end_well_while_something_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    group = tmp_path / "consolidation-image-db"
    monkeypatch.setattr(hosts, "HOSTS", tmp_path / "hosts")
    monkeypatch.setattr(hosts, "BRIDGE", "no-such-bridge")
    monkeypatch.setattr(hosts, "control_trees", lambda: [tmp_path])
    hosts.destroy()
    group.mkdir()
    with pytest.raises(hosts.HostsError, match=f"left behind: control group {group}; remove"):
        hosts.destroy()


def answers(known: dict[str, str], calls: list[tuple[str, ...]]) -> Callable[..., str]:
    def run(*command: str) -> str:
        calls.append(command)
        return known.get(command[1], "")

    return run
