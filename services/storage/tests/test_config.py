"""The configuration file: the plan's section, and errors without values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from service_common.config import ConfigError, load
from storage_service.auth import token_sha256
from storage_service.config import Settings

CONTENT: dict[str, Any] = {
    "server": {"port": 8100},
    "database": {"host": "db", "dbname": "storage", "user": "storage_service", "password_file": "/run/secret"},
    "storage": {
        "databases": {
            "campaign_db": {"schema": "campaign_db", "migrations": True, "backup": False},
            "image_db": {"schema": "image_db", "migrations": False, "backup": True},
        }
    },
    "services": {"campaign_service": {"database": "campaign_db", "token_sha256": token_sha256("t")}},
}


def settings(tmp_path: Path, content: object) -> Settings:
    path = tmp_path / "storage.yml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return load(path, Settings)


def test_flags_say_which_databases_are_migrated_and_backed_up(tmp_path: Path) -> None:
    storage = settings(tmp_path, CONTENT).storage
    assert storage.with_migrations() == ["campaign_db"]
    assert storage.with_backup() == ["image_db"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nonsense": 1}, "nonsense: Extra inputs"),
        ({"server": {}}, "server.port: Field required"),
        ({"storage": {"databases": {"other_db": {"schema": "x"}}}}, "no database 'other_db'"),
        ({"storage": {"databases": {"../x": {"schema": "x"}}}}, "no database '../x'"),
        ({"storage": {"databases": {"storage_service": {"schema": "x"}}}}, "no database 'storage_service'"),
        ({"services": {"x": {"database": "other_db", "token_sha256": "0" * 64}}}, "no database 'other_db'"),
        ({"services": {"x": {"database": "image_db", "token_sha256": "hush-hush"}}}, "services.x.token_sha256"),
        ({"database": CONTENT["database"] | {"passfile": "hush-hush"}}, "passfile or password_file, not both"),
        ({"database": CONTENT["database"] | {"sslmode": "verify-full"}}, "needs sslrootcert"),
        ({"database": CONTENT["database"] | {"password": "hush-hush"}}, "database.password: Extra inputs"),
    ],
)
def test_fault_is_named_without_its_value(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, CONTENT | change)
    assert message in str(caught.value)
    assert "hush-hush" not in str(caught.value)


def test_text_that_is_no_yaml_says_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid YAML at line 3"):
        settings(tmp_path, "server: {port: 1}\nsecret: 'hush-hush\n")


def test_unusable_file_ends_the_service_with_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "storage_service", "--config", str(tmp_path / "absent.yml")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    expected = f"cannot read {tmp_path}/absent.yml: No such file or directory. Give an existing file with --config.\n"
    assert ended.stderr == expected


def test_new_token_and_its_hash_belong_together() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "storage_service.auth"], capture_output=True, text=True, timeout=60, check=True
    )
    assert made.stderr == f"token_sha256: {token_sha256(made.stdout.strip())}\n"
    assert len(made.stdout) > 40
