from __future__ import annotations

from pathlib import Path

import pytest

from consolidation.services.release import faults, required

SERVICES = Path(__file__).parents[3] / "services"


@pytest.mark.parametrize(
    ("requirements", "names"),
    [
        ("SQLAlchemy[asyncio]>=2.1\n", {"sqlalchemy"}),
        ("storage_client==1 --hash=sha256:ab \\\n    --hash=sha256:cd\n", {"storage-client"}),
        ("# asyncpg\n-r other.txt\n--no-index\n\n  Storage.Client ; python_version > '3'\n", {"storage-client"}),
        ("asyncpg-stubs\nmy-asyncpg\n", {"asyncpg-stubs", "my-asyncpg"}),
        ("asyncpg @ file:///x.whl\n", {"asyncpg"}),
    ],
)
def test_names_are_read_as_pip_reads_them(requirements: str, names: set[str]) -> None:
    assert required(requirements) == names


@pytest.mark.parametrize("service", ["campaign", "image"])
def test_the_reference_services_new_release_goes_through_the_client_and_their_old_one_does_not(service: str) -> None:
    assert faults((SERVICES / service / "requirements-storage.txt").read_text()) == []
    old = faults((SERVICES / service / "requirements-direct.txt").read_text())
    assert old == ["still has asyncpg", "still has sqlalchemy", "lacks storage-client"]
