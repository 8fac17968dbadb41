"""What galaxy.yml packs is a collection: it installs without a network, and its modules can be read about and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from consolidation import __version__

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))


def run(folder: Path, *command: str) -> str:
    """Run outside of the checkout, with no configuration of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment = {**kept, "ANSIBLE_HOME": str(folder / "home"), "ANSIBLE_COLLECTIONS_PATH": str(folder / "installed")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the collection was built and installed."""
    folder = tmp_path_factory.mktemp("collection")
    run(folder, "ansible-galaxy", "collection", "build", "--output-path", str(folder), str(ROOT))
    [built] = folder.glob("*.tar.gz")
    run(folder, "ansible-galaxy", "collection", "install", "--offline", "-p", str(folder / "installed"), str(built))
    return folder


def test_the_package_holds_the_modules_and_the_texts(installed: Path) -> None:
    with tarfile.open(next(installed.glob("*.tar.gz"))) as package:
        names = set(package.getnames())
    texts = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"}
    made_by_galaxy = {"FILES.json", "MANIFEST.json"}
    assert {name.split("/")[0] for name in names} == {"docs", "library", "meta", "plugins"} | texts | made_by_galaxy
    assert {"meta/runtime.yml", "plugins/modules"} | {f"library/{name}.py" for name in MODULES} <= names


def test_what_chores_leave_in_the_checkout_is_not_packed() -> None:
    """`make site` and a run leave folders that git ignores, too."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    left = {line.strip("/") for line in lines if line.endswith("/") and line[0] not in "._*"}
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    assert {"site", "runs"} <= left <= set(ignored)


def test_every_module_shows_its_documentation(installed: Path) -> None:
    names = [f"storage.consolidation.{name}" for name in MODULES]
    shown = json.loads(run(installed, "ansible-doc", "-t", "module", "--json", *names))
    assert {name: bool(module["doc"]["short_description"]) for name, module in shown.items()} == dict.fromkeys(
        names, True
    )
    options = shown["storage.consolidation.pg_fence"]["doc"]["options"]
    assert {"database", "side", "state"} <= set(options)  # the shared ones, too


def test_a_module_runs(installed: Path) -> None:
    interpreter = f"ansible_python_interpreter={sys.executable}"
    options = ("-m", "storage.consolidation.runner_info", "-e", interpreter)
    assert '"fingerprint": "' in run(installed, "ansible", "localhost", *options)


def test_the_version_has_one_source() -> None:
    assert yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"] == __version__
