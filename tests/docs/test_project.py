"""What the project's own pages and workflows name exists, and agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from consolidation.preflight.server import NEWEST, OLDEST
from tests.cluster import PAIRS
from tools.release_notes import notes

ROOT = Path(__file__).parents[2]
CHANGELOG = """# Changelog

## Unreleased

- to come

## 0.2.0 (2026-12-01)

- one
- two

## 0.1.0 (2026-11-01)

- old
"""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("workflow", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_call_make_targets_that_exist(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.MULTILINE))
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    lines = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    called = {word for line in lines for word in re.findall(r"(?<= )[a-z-]+(?= |$)", line.partition("make")[2])}
    assert called
    assert called <= targets
    for job in jobs:
        assert job["timeout-minutes"]


def test_ci_runs_all_that_make_test_runs() -> None:
    [prerequisites] = re.findall(r"^test: ([a-z ]+)##", read("Makefile"), re.MULTILINE)
    assert set(prerequisites.split()) <= set(re.findall(r"make ([a-z]+)", read(".github/workflows/ci.yml")))


def test_the_hooks_need_nothing_but_what_setup_installs() -> None:
    for repository in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert (ROOT / hook["entry"].split()[0]).exists(), "run `make setup`"


def test_playbooks_and_roles_need_no_collection_that_would_have_to_be_fetched() -> None:
    for path in (*ROOT.glob("*.yml"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")):
        modules = re.findall(r"^ *(?:- )?(\w+\.\w+)\.\w+:", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(modules) <= {"ansible.builtin"}, path


def test_the_test_that_contributing_runs_alone_exists() -> None:
    [(path, words)] = re.findall(r"pytest (tests/\S+\.py) -k (\w+)", read("CONTRIBUTING.md"))
    assert re.search(rf"^def test_\w*{words}", read(path), re.MULTILINE)


def test_supported_versions_are_those_of_preflight_and_of_the_tests() -> None:
    page = read("docs/supported-versions.md")
    assert f"| {OLDEST} to {NEWEST};" in page
    assert f"source to target: {', '.join(f'{source} to {target}' for source, target in PAIRS)} |" in page


def test_release_notes_are_the_section_of_the_tag() -> None:
    assert notes(CHANGELOG, "v0.2.0", "0.2.0") == "- one\n- two\n"
    with pytest.raises(ValueError, match=r"the tag is v0\.1\.0"):
        notes(CHANGELOG, "v0.1.0", "0.2.0")
    with pytest.raises(ValueError, match="has no section"):
        notes(CHANGELOG, "v0.3.0", "0.3.0")
