"""What the README names exists, and what exists is named."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from consolidation.console import options
from tools import role_docs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENTRY_POINTS = sorted(
    path.name
    for path in ROOT.glob("*.yml")
    if any(isinstance(play, dict) and "hosts" in play for play in yaml.safe_load(path.read_text(encoding="utf-8")))
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_playbooks() -> None:
    named = set(re.findall(r"playbooks/([a-z_]+)\.yml", README))
    assert named == {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    for entry_point in ENTRY_POINTS:
        assert re.search(rf"ansible-playbook {entry_point}\b", README), entry_point


def test_make_targets() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)`", README)) == set(targets)


@pytest.mark.parametrize("page", run("git", "ls-files", "*.md").stdout.split())
def test_links(page: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_readme_leads_to_every_page(page: Path) -> None:
    assert f"](docs/{page.name})" in README


@pytest.mark.parametrize("path", role_docs.documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_generated_is_up_to_date(path: Path) -> None:
    assert path.exists(), "run `make docs`"
    assert path.read_text(encoding="utf-8") == role_docs.documents()[path], "run `make docs`"


def test_the_reference_has_every_variable_of_inventory_and_command() -> None:
    files = [*ROOT.glob("*.yml"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/*/*.yml")]
    files += (ROOT / "inventories" / "example").rglob("*.yml")
    used = {
        name
        for path in files
        for name in re.findall(r"\b(?:consolidation|service)_[a-z_]+\b(?!:\n)", path.read_text(encoding="utf-8"))
    }
    handed_over = {"consolidation_run_id", "consolidation_password", "consolidation_reader", "consolidation_online"}
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", reference))
    given = options.OF_THE_INVENTORY | options.FOR_ONE_COMMAND
    assert (used - handed_over) | (given - {"demo_directory"}) <= named | set(role_docs.modules())


def test_every_role_has_specs_for_every_entry_point() -> None:
    for role in (ROOT / "roles").iterdir():
        tasks = {path.stem for path in (role / "tasks").glob("*.yml")}
        assert role.name in role_docs.roles(), role.name
        assert set(role_docs.specs(role.name)) <= tasks


def test_defaults_are_those_of_the_specs() -> None:
    for role in role_docs.roles():
        path = ROOT / "roles" / role / "defaults" / "main.yml"
        defaults = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        said = {
            name: option for spec in role_docs.specs(role).values() for name, option in spec.get("options", {}).items()
        }
        assert {
            name: option["default"] for name, option in said.items() if "default" in option
        }.items() <= defaults.items()
        assert defaults.keys() <= said.keys(), f"roles/{role}: a default that no spec names"
        assert not {name for name, option in said.items() if option.get("required")} & defaults.keys()


@pytest.mark.parametrize("playbook", ENTRY_POINTS)
def test_list_tasks_prints_the_runbook(playbook: str) -> None:
    listed = run("ansible-playbook", playbook, "-i", "inventories/demo", "--list-tasks")
    assert listed.returncode == 0, listed.stderr
    plays = re.findall(r"play #\d+ \([\w:]+\): (\w+)", listed.stdout)
    assert plays[0] == "Check"
    assert plays[-1] == "Report"


def test_the_documentation_of_every_module_can_be_read() -> None:
    shown = run("ansible-doc", "-t", "module", "--json", *role_docs.modules())
    assert shown.returncode == 0, shown.stderr
    for name in role_docs.modules():
        assert f'"{name}"' in shown.stdout
    assert {path.stem for path in (ROOT / "library").glob("*.py")} == set(role_docs.modules())
