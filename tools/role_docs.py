"""Write what README files say of roles and modules from their own specifications.

Only the text between ``<!-- generated: NAME -->`` and ``<!-- end -->`` is replaced; a role without a README gets one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from consolidation.cli.app import cli

ROOT = Path(__file__).resolve().parent.parent
NEW_README = "# Role {name}\n\n{summary}.\n\n<!-- generated: variables -->\n<!-- end -->\n"


def documents() -> dict[Path, str]:
    """Every README with generated text, as it should be."""
    found = {}
    for role in roles():
        path = ROOT / "roles" / role / "README.md"
        if path.exists():
            text = path.read_text(encoding="utf-8")
        else:
            text = NEW_README.format(name=role, summary=first_summary(role))
        found[path] = replaced(text, "variables", variables(role))
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for name, content in (
        ("variables", variable_table()),
        ("roles", role_table()),
        ("modules", module_table()),
        ("commands", command_manual()),
    ):
        reference = replaced(reference, name, content)
    found[ROOT / "docs" / "reference.md"] = reference
    return found


def roles() -> list[str]:
    """Names of the roles."""
    return sorted(path.parents[1].name for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))


def specs(role: str) -> dict[str, Any]:
    """The argument specs of a role by entry point."""
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    entry_points: dict[str, Any] = yaml.safe_load(text)["argument_specs"]
    return entry_points


def first_summary(role: str) -> str:
    """What the role's main (or first) entry point does."""
    entry_points = specs(role)
    return str(entry_points.get("main", next(iter(entry_points.values())))["short_description"])


def modules() -> dict[str, str]:
    """Name and short description of every module."""
    return dict(sorted(_module(path) for path in (ROOT / "library").glob("*.py")))


def variables(role: str) -> str:
    """A table of variables for each entry point."""
    parts = []
    for entry_point, spec in sorted(specs(role).items()):
        parts.append(f"## Entry point `{entry_point}`\n\n{spec['short_description']}.\n")
        parts += [f"{line}\n" for line in _lines(spec.get("description"))]
        parts.append(table(("Variable", "Type", "Default", "Meaning"), _rows(spec.get("options", {}))))
    return "\n".join(parts)


def variable_table() -> str:
    """A line for each variable of a role that has a default or may be left out."""
    found = {
        name: (name, f"[`{role}`](../roles/{role}/README.md)", default, meaning)
        for role in roles()
        for spec in specs(role).values()
        for name, _, default, meaning in _rows(spec.get("options", {}))
        if default != "required" and "." not in name
    }
    return table(("Variable", "Role", "Default", "Meaning"), [found[name] for name in sorted(found)])


def role_table() -> str:
    """A line for each entry point of each role."""
    lines = [
        (f"[`{role}`](../roles/{role}/README.md)", f"`{entry_point}`", spec["short_description"])
        for role in roles()
        for entry_point, spec in sorted(specs(role).items())
    ]
    return table(("Role", "Entry point", "What it does"), lines)


def module_table() -> str:
    """A line for each module."""
    return table(("Module", "What it does"), [(f"`{name}`", summary) for name, summary in modules().items()])


def command_manual() -> str:
    """The help of every subcommand."""
    parts = []
    for name, command in sorted(cli.commands.items()):
        text = command.get_help(click.Context(command, info_name=f"consolidation {name}", max_content_width=100))
        parts.append(f"### consolidation {name}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def replaced(text: str, name: str, content: str) -> str:
    """The text with new content between the markers of that name. Raises ValueError where it has none."""
    pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no markers <!-- generated: {name} --> … <!-- end -->")
    return pattern.sub(lambda found: f"{found[1]}{content}{found[2]}", text)


def _rows(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, ...]]:
    for name, option in options.items():
        kind = f"list of {option['elements']}" if "elements" in option else option["type"]
        default = "required" if option.get("required") else f"`{option['default']!r}`" if "default" in option else ""
        meaning = " ".join(_lines(option["description"]))
        if "choices" in option:
            meaning += f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}."
        yield f"`{prefix}{name}`", kind, default, meaning
        yield from _rows(option.get("options", {}), f"{prefix}{name}.")


def table(heads: tuple[str, ...], rows: Any) -> str:
    """A Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _lines(description: Any) -> list[str]:
    """The paragraphs of a description; Ansible's C(…) and its kin as Markdown."""
    paragraphs = [description] if isinstance(description, str) else list(description or [])
    return [re.sub(r"\b[BCIMOPV]\(([^)]*)\)", r"`\1`", paragraph) for paragraph in paragraphs]


def _module(path: Path) -> tuple[str, str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            documentation = yaml.safe_load(ast.literal_eval(node.value))
            return documentation["module"], documentation["short_description"]
    raise ValueError(f"{path} has no DOCUMENTATION")


def main() -> None:
    """Write what differs, and name it."""
    for path, text in documents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
