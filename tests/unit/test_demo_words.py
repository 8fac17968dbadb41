"""What the demo says before and after it works, and what it keeps."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from demo import __main__ as demo
from demo import checker, steps
from demo.environment import Environment


def test_the_reports_of_an_earlier_demo_are_kept(tmp_path: Path) -> None:
    environment = Environment(tmp_path / ".demo", {})
    assert environment.keep_reports() is None
    report = environment.directory / "runs" / "1" / "report.html"
    report.parent.mkdir(parents=True)
    for text in ("first", "second"):
        report.parent.mkdir(exist_ok=True)
        report.write_text(text)
        kept = environment.keep_reports()
        assert kept == tmp_path / ".demo-reports"
        assert (kept / "1" / "report.html").read_text() == text
    environment.destroy()
    assert (tmp_path / ".demo-reports" / "1" / "report.html").exists()


def test_too_small_a_disk_is_said_before_anything_is_started(tmp_path: Path) -> None:
    steps.require_space(tmp_path, 0.0001)
    with pytest.raises(steps.DemoError, match=r"needs about .* GB of disk in .*make room, or give make demo"):
        steps.require_space(tmp_path, 1e7)


def test_what_it_prints_fits_a_terminal_of_80_columns() -> None:
    introduction = demo.INTRODUCTION.format(rows="0.35 GB", minutes="3 minutes", disk=1.8, directory="/srv/demo")
    assert all(len(line) <= 80 for line in (demo.RESULT + introduction).splitlines())
    outage = checker.Outage("campaign", 1.7e9, 1.7e9 + 3, {"503 fenced": 2}, 10.1)
    shown = io.StringIO()
    Console(file=shown, width=80).print(steps.seen_by_clients([outage], "rollback.yml"))
    assert "…" not in shown.getvalue()


def test_the_playbooks_print_commands_as_a_newcomers_shell_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make` has .venv/bin on its path; the shell that a command is pasted into has not."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    paths: list[str] = []

    def run(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        paths.append(env["PATH"])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    steps.play(Environment(tmp_path / ".demo", {}), "migrate.yml")
    assert paths == ["/usr/bin:/bin"]
