"""The fingerprint of what is installed is that of the checkout it was built from, and changes with any of its files."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from consolidation import installation

ROOT = Path(__file__).parents[2]
FINGERPRINT = "from consolidation.installation import fingerprint; print(fingerprint())"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels' content, as pip would install it."""
    folder, installed = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
    ]
    subprocess.run([*command, ROOT, ROOT / "services/storage"], check=True)
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(installed)
    return installed


def fingerprint_of(installed: Path) -> str:
    environment = {"PYTHONPATH": str(installed)}
    # -S: without the checkout's own editable installation, but with what it needs
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environment["PYTHONPATH"] += f":{packages}"
    command = [sys.executable, "-S", "-c", FINGERPRINT]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_wheels_have_the_fingerprint_of_their_checkout(wheels: Path) -> None:
    assert fingerprint_of(wheels) == installation.fingerprint()


@pytest.mark.parametrize(
    "pattern", ["consolidation/*/sql/*.sql", "consolidation/alembic/versions/*/*.py", "storage_service/db/*.py"]
)
def test_every_file_counts(wheels: Path, pattern: str) -> None:
    before = fingerprint_of(wheels)
    file = next(wheels.glob(pattern))
    original = file.read_bytes()
    file.write_bytes(original + b"\n")
    try:
        assert fingerprint_of(wheels) != before
    finally:
        file.write_bytes(original)
