from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from consolidation import evidence as run_directory
from consolidation.errors import ConfigurationError


def test_files_and_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run_directory.write(tmp_path / "runs" / "1" / "report.json", "{}")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"runs": 0o700, "1": 0o700, "report.json": 0o600}


def test_sha256sum_accepts_the_index_and_notices_an_altered_file(tmp_path: Path) -> None:
    run_directory.write(tmp_path / "campaign_db" / "verify.json", "{}")
    run_directory.write(tmp_path / "report.html", "<p>")
    run_directory.index(tmp_path)
    check = ["sha256sum", "--check", "--strict", run_directory.INDEX]
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0
    run_directory.write(tmp_path / "report.html", "<P>")
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 1


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    (tmp_path / "report.html" / "in the way").touch()
    with pytest.raises(ConfigurationError, match=r"cannot write .*report\.html"):
        run_directory.write(tmp_path / "report.html", "<p>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_closed_evidence_is_left_alone_and_its_index_names_every_fault(tmp_path: Path) -> None:
    first = run_directory.directory_of(tmp_path, "1")
    run_directory.write(first / "report.html", "<p>")
    run_directory.write(first / "log.txt", "x")
    digest = run_directory.index(first)
    assert run_directory.directory_of(tmp_path, "1") == first, "a run that goes on writes on"
    run_directory.index(first, close=True)
    assert run_directory.directory_of(tmp_path, "1") == tmp_path / "1.2"
    run_directory.append(tmp_path / "1.2" / run_directory.EVENTS, '{"event": "command"}\n{"cut off')
    assert run_directory.directories(tmp_path, "1") == [first, tmp_path / "1.2"]
    assert run_directory.events(tmp_path, "1") == [{"event": "command"}]

    found = run_directory.check(first)
    assert (found.holds, found.closed, found.index_digest) == (True, True, digest)
    (first / "report.html").write_text("<P>")
    (first / "log.txt").unlink()
    (first / "more").touch()
    found = run_directory.check(first)
    assert (found.holds, found.altered, found.missing, found.not_indexed) == (
        False,
        ("report.html",),
        ("log.txt",),
        ("more",),
    )
    assert not run_directory.check(tmp_path / "1.2").holds, "without an index nothing is shown"
