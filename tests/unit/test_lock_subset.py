"""The runner's locked dependencies are those of the checkout's lock, and no more than the core needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import lock_subset

ROOT = Path(__file__).parents[2]


def test_the_runners_lock_is_up_to_date() -> None:
    committed = (ROOT / "roles/runner/files/requirements.txt").read_text(encoding="utf-8")
    assert committed == lock_subset.subset(["storage-consolidation"]), "run tools/lock_subset.py as its docstring says"


def test_every_entry_is_pinned_and_hashed() -> None:
    entries = lock_subset.locked(lock_subset.subset(["storage-consolidation"]))
    assert {"psycopg2-binary", "sqlalchemy", "alembic"} <= set(entries)
    assert "ansible-core" not in entries
    for name, entry in entries.items():
        assert re.match(rf"{name}==\S+.*\\\n +--hash=sha256:[0-9a-f]{{64}}", entry), entry


def test_extras_bring_their_dependencies() -> None:
    assert "greenlet" not in lock_subset.closure(["sqlalchemy"])
    assert "greenlet" in lock_subset.closure(["SQLAlchemy[asyncio]"])


def test_own_wheels_are_named_with_their_hash(tmp_path: Path) -> None:
    (tmp_path / "storage_client-0.1.0-py3-none-any.whl").write_bytes(b"")
    (tmp_path / "image_service-0.1.0-py3-none-any.whl").write_bytes(b"")
    lines = lock_subset.subset(["storage-client"], tmp_path).splitlines()
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert f"storage-client==0.1.0 --hash=sha256:{empty}" in lines
    assert not any("image-service" in line for line in lines)


def test_a_package_that_is_not_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_subset, "closure", lambda _wanted: {"unheard-of"})
    with pytest.raises(KeyError, match="unheard-of"):
        lock_subset.subset(["unheard-of"])
