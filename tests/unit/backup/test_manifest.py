"""The manifest: every change of a file is noticed, and a manifest is read back as it was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidation.backup import manifest
from consolidation.backup.manifest import Manifest
from consolidation.errors import BackupError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def made(directory: Path, name: str = "campaign_db", tables: tuple[str, ...] = ()) -> Manifest:
    return Manifest(
        format=manifest.FORMAT,
        run_id="20261122T010203Z",
        database=name,
        source={"host": "h", "port": 5432, "dbname": name},
        source_schema="public",
        server_version="16.4",
        tool_version=18,
        snapshot_at="2026-11-22T01:02:03.000004+00:00",
        lsn=None,
        properties={"owner": 'O"wner'},
        database_bytes=1,
        tables={table: {"rows": 0, "digest": "0" * 32} for table in tables},
        sequences={},
        files=manifest.hashes(directory),
    )


@given(name=NAMES, tables=st.lists(NAMES, max_size=3, unique=True))
def test_reads_what_it_wrote(tmp_path_factory: pytest.TempPathFactory, name: str, tables: list[str]) -> None:
    directory = tmp_path_factory.mktemp("dump")
    (directory / "file").write_bytes(name.encode())
    written = made(directory, name, tuple(tables))
    sha256 = manifest.write(directory, written)
    assert manifest.check(directory, sha256=sha256, run_id=written.run_id, database=name) == written
    assert (directory / "manifest.json").stat().st_mode & 0o777 == 0o600


@given(content=st.binary(min_size=1, max_size=200), data=st.data())
def test_every_changed_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("dump")
    (directory / "file").write_bytes(content)
    files = manifest.hashes(directory)
    at, by = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    changed = bytearray(content)
    changed[at] ^= by
    (directory / "file").write_bytes(changed)
    assert manifest.differences(files, directory) == ["file has other content (SHA-256), or cannot be read"]


def test_dump_of_another_database_or_run_is_refused(tmp_path: Path) -> None:
    sha256 = manifest.write(tmp_path, made(tmp_path))
    for run_id, database in (("20261122T010203Z", "image_db"), ("20250101T000000Z", "campaign_db")):
        with pytest.raises(BackupError, match="holds the dump of campaign_db from run 20261122T010203Z"):
            manifest.check(tmp_path, sha256=sha256, run_id=run_id, database=database)


@pytest.mark.parametrize("content", [b"", b"[]", b"1", b"{}", b"null", b"\xff", b'{"format": 1}'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    with pytest.raises(BackupError, match="is not a manifest"):
        manifest.check(tmp_path, sha256=sha256, run_id="r", database="d")


def test_manifest_of_a_later_format_is_refused(tmp_path: Path) -> None:
    sha256 = manifest.write(tmp_path, made(tmp_path))
    path = tmp_path / "manifest.json"
    content = path.read_bytes().replace(b'"format": 1', b'"format": 2')
    path.write_bytes(content)
    assert hashlib.sha256(content).hexdigest() != sha256
    with pytest.raises(BackupError, match="is not a manifest of format 1"):
        manifest.check(
            tmp_path, sha256=hashlib.sha256(content).hexdigest(), run_id="20261122T010203Z", database="campaign_db"
        )
