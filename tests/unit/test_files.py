from __future__ import annotations

import os
from pathlib import Path

import pytest

from consolidation import files


def test_a_file_is_private_whatever_the_umask_unless_another_mode_is_asked_for(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.write(tmp_path / "private", "é")
        files.write(tmp_path / "shared", "", mode=0o644, durable=False)
    finally:
        os.umask(before)
    assert (tmp_path / "private").read_bytes() == "é".encode()
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "private": 0o600,
        "shared": 0o644,
    }


def test_whoever_reads_meanwhile_has_the_old_content_whole(tmp_path: Path) -> None:
    path = tmp_path / "state"
    files.write(path, "old")
    with path.open() as reader:
        files.write(path, "new and longer")
        assert reader.read() == "old"
    assert path.read_text() == "new and longer"


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    files.write(tmp_path / "state", "old")
    with pytest.raises(UnicodeEncodeError):
        files.write(tmp_path / "state", "half \ud800")  # no UTF-8
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert (tmp_path / "state").read_text() == "old"
