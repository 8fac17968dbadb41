"""The floors of the core: imports point down only, and a package's ``__init__`` is one sentence."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import consolidation

CORE = Path(consolidation.__file__).parent
FLOORS = (
    {"errors", "text", "processes", "files", "borders"},
    {"evidence", "installation", "modes"},
    {"postgres", "module"},
    {"model"},
    {"compare", "lineage"},
    {"journal"},
    {"fence", "capture", "backup", "progress"},
    {"schema", "adopt"},
    {"copy", "move", "services"},
    {"verify"},
    {"follow"},
    {"cutover", "finalize", "rollback", "preflight", "report"},
    {"rehearse"},
    {"console", "review", "notices"},
    {"cli"},
)
"""Bottom first. Rooms of one floor do not import each other, but for what ``BESIDE`` names."""
BESIDE: set[tuple[str, str]] = set()


def _imports() -> Iterator[tuple[str, str, Path]]:
    """(room, imported room, file) of every import of the core within itself."""
    for path in CORE.rglob("*.py"):
        room = path.relative_to(CORE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("consolidation"):
                rest = (node.module or "").split(".")[1:]
                modules = [rest[0]] if rest else [name.name for name in node.names]
            elif isinstance(node, ast.Import):
                modules = [name.name.split(".")[1] for name in node.names if name.name.startswith("consolidation.")]
            yield from ((room, module, path) for module in modules if module != room and not module.startswith("__"))


def test_every_room_has_its_floor() -> None:
    rooms = {path.name.removesuffix(".py") for path in CORE.iterdir() if not path.name.startswith(("__", "py.typed"))}
    assert rooms == set().union(*FLOORS)


def test_imports_point_down_only() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    upward = {
        f"{path.relative_to(CORE)} imports {imported}"
        for room, imported, path in _imports()
        if room in floor and floor[imported] >= floor[room] and (room, imported) not in BESIDE
    }
    assert not upward, upward


def test_a_package_imports_nothing_by_itself() -> None:
    for path in CORE.rglob("*/__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert len(body) == 1, f"{path} holds more than its docstring"
        assert isinstance(body[0], ast.Expr), path


LIMIT, LINES = 40, 300


def test_values_are_typed_but_at_the_borders() -> None:
    """A JSON object has a name where it crosses a border (``borders.Json``); within the core values are dataclasses."""
    loose = {
        str(path.relative_to(CORE)): number
        for path in CORE.rglob("*.py")
        if (number := path.read_text(encoding="utf-8").count("dict[str, Any]"))
    }
    assert sum(loose.values()) < LIMIT, loose
    options = {
        f"{path.relative_to(CORE)}: {function.name}"
        for path in CORE.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and "database" in {each.arg for each in function.args.args}
        for each in function.args.args
        if each.arg == "options" and each.annotation and "ict[" in ast.unparse(each.annotation)
    }
    assert not options, f"the raw option beside the typed database: {options}"


def test_a_file_is_read_in_one_sitting() -> None:
    long = {path.name: lines for path in CORE.rglob("*.py") if (lines := path.read_text().count("\n")) > LINES}
    assert not long, long
