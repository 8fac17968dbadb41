"""The image's build context holds what our packages are built from."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENVIRONMENT = yaml.safe_load((ROOT / "execution-environment.yml").read_text())


def context() -> Iterator[Path]:
    """What ansible-builder makes of additional_build_files: of a folder it copies the content."""
    for entry in ENVIRONMENT["additional_build_files"]:
        source, dest = ROOT / entry["src"], Path(entry["dest"])
        for path in source.rglob("*") if source.is_dir() else [source]:
            yield dest / path.relative_to(source if source.is_dir() else source.parent)
        if source.is_dir():
            yield dest


@pytest.mark.parametrize("package", [".", "services/storage"])
def test_what_a_package_is_built_from(package: str) -> None:
    wheel = tomllib.loads((ROOT / package / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = ["pyproject.toml", *wheel["packages"], *wheel.get("force-include", {})]
    assert {Path("project", package, path) for path in needed} <= set(context())
