"""Each release carries the libraries of one backend only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DIRECT = {"type": "postgresql", "host": "h", "dbname": "d", "user": "u"}
REMOTE = {"type": "storage_service", "schema": "s", "client": "storage_client"}


@pytest.mark.parametrize("service", ["campaign_service", "image_service"])
@pytest.mark.parametrize(
    ("database", "absent"), [(DIRECT, ["storage_client"]), (REMOTE, ["sqlalchemy", "asyncpg"])], ids=["before", "after"]
)
def test_release_needs_the_libraries_of_its_backend_only(
    tmp_path: Path, service: str, database: dict[str, str], absent: list[str]
) -> None:
    (tmp_path / "token").write_text("token")
    storage = {"url": "https://h", "token_file": str(tmp_path / "token")}
    settings = {"server": {"port": 1}, "database": database, "storage": storage}
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        "from service_common.reference.backend import ServiceSettings\n"
        f"from {service}.app import create_app\n"
        f"create_app(ServiceSettings.model_validate({settings}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
