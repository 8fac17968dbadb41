"""The services' configuration files at cutover and rollback: only their ``database`` section changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consolidation.borders import Json
from consolidation.errors import ConfigurationError
from consolidation.services import yaml_edit
from consolidation.services.yaml_edit import Keys, Node, Value, find

SECTION: Keys = ("database",)
DIRECT, REMOTE = "postgresql", "storage_service"
HARMLESS = """type host port dbname database name user username schema client sslmode sslrootcert passfile password_file
pool_size pool_timeout_seconds connect_timeout_seconds statement_timeout_seconds migrations backup"""
"""Keys whose values may be seen; every other value is redacted."""
HIDDEN = "[redacted]"


@dataclass(frozen=True)
class Plan:
    """What becomes of one file. Only ``after`` and ``before`` hold what must not be seen."""

    path: str
    keys: Keys
    before: bytes
    after: bytes
    message: str

    @property
    def changed(self) -> bool:
        """Whether a byte changes."""
        return self.before != self.after

    def diff(self) -> dict[str, str]:
        """The section before and after, redacted."""
        header = f"{self.path}: {'.'.join(self.keys)}"
        sides = {"before": self.before, "after": self.after}
        return {f"{side}_header": header for side in sides} | {
            side: section_shown(content, self.keys, self.path) for side, content in sides.items()
        }

    def as_result(self) -> Json:
        """For module results and the evidence: nothing secret."""
        diff = self.diff()
        return {
            "msg": self.message,
            "path": self.path,
            "section_before": diff["before"].splitlines(),
            "section_after": diff["after"].splitlines(),
            "sha256_before": hashlib.sha256(self.before).hexdigest(),
            "sha256_after": hashlib.sha256(self.after).hexdigest(),
        }


@dataclass(frozen=True)
class Change:
    """A plan, and what is written for it on the host."""

    plan: Plan
    writes: tuple[tuple[str, bytes], ...]
    """Path and content of each file that does not hold it yet."""

    @property
    def changed(self) -> bool:
        """Whether a file is written."""
        return bool(self.writes)

    def as_result(self) -> Json:
        """For results and the evidence: nothing secret."""
        return {**self.plan.as_result(), "written": [path for path, _ in self.writes]}


def change(options: Mapping[str, Any], contents: Mapping[str, bytes | None]) -> Change:
    """What one state asks for, from what the files on the host hold. Raises ConfigurationError."""
    path, before, after = options["path"], options["before"], options["after"]
    content = contents[path]
    if content is None:
        raise ConfigurationError(
            f"{path}: does not exist, or cannot be read", hint="correct service_config, or the rights of the login"
        )
    if options["state"] == "staged":
        plan = plan_cutover(path, content, options["schema"])
        if not plan.changed and contents[before] is None:
            raise ConfigurationError(
                f"{path} points at the Storage Service already, and this run has not kept what it was before",
                hint="nothing was changed; write the direct connection back into it, then run again",
            )
        wanted = {before: plan.before, after: plan.after} if plan.changed else {}
    elif options["state"] == "previous":
        previous, written = contents[before], contents[after]
        if previous is None or written is None:
            raise ConfigurationError(
                f"{path}: what the run has kept beside it ({before}, {after}) is missing. The source is open and"
                " has every write",
                hint="restore the service's configuration and release by hand, restart it, then run again with"
                """ -e '{"consolidation_services": []}'""",
            )
        plan = plan_rollback(path, content, previous, written)
        wanted = {path: plan.after}
    else:
        plan = plan_served(path, content, options["entries"])
        wanted = {before: plan.before, after: plan.after} if plan.changed else {}
    return Change(plan, tuple((name, text) for name, text in wanted.items() if contents[name] != text))


def plan_cutover(path: str, content: bytes, schema: str) -> Plan:
    """Point a service's file at the Storage Service. Raises ConfigurationError."""
    text = _text(content, path)
    kind = _kind(yaml_edit.read(text, path), path)
    if kind not in (DIRECT, REMOTE):
        raise ConfigurationError(
            f"{path}: database.type is {kind or 'missing'}, expected {DIRECT}",
            hint="the runbook only replaces a direct connection; bring the section into its documented form",
        )
    wanted: Mapping[str, Value] = {"type": REMOTE, "schema": schema, "client": "storage_client"}
    after = yaml_edit.put(text, SECTION, wanted, path).encode()
    if kind == REMOTE and after != content:
        raise ConfigurationError(
            f"{path}: the database section points at the Storage Service already, but not at schema {schema}",
            hint="if that is a mistake, restore the direct connection; then run the same command again",
        )
    message = f"{path}: the service goes through the Storage Service" + (" already" if after == content else "")
    return Plan(path, SECTION, content, after, message)


def plan_rollback(path: str, content: bytes, previous: bytes, written: bytes) -> Plan:
    """Take the cutover of a service's file back.

    ``previous``: the file before the cutover, ``written``: as the cutover wrote it. A file that no one has touched
    since becomes the very file it was; in one that was edited only the section goes back. Raises ConfigurationError.
    """
    if content in (previous, written):
        same = "is" if content == previous else "becomes"
        return Plan(path, SECTION, content, previous, f"{path}: {same} the very file that it was before the cutover")
    text, source = _text(content, path), _text(previous, f"{path} as it was before the cutover")
    root, before = yaml_edit.read(text, path), yaml_edit.read(source, path)
    kind = _kind(root, path)
    section, wanted = find(root, SECTION), find(before, SECTION)
    message = f"{path}: was edited since the cutover; only its database section goes back, the edits stay"
    if section is not None and wanted is not None and yaml_edit.said(section) == yaml_edit.said(wanted):
        return Plan(path, SECTION, content, content, f"{path}: was edited, its database section is as before")
    if kind != REMOTE:
        raise ConfigurationError(
            f"{path}: was edited since the cutover, its database section is neither the old one nor ours",
            hint="write the wanted database section into the file by hand, restart the service, then run again",
        )
    return Plan(path, SECTION, content, yaml_edit.put_back(text, SECTION, source, path).encode(), message)


def plan_served(path: str, content: bytes, entries: Mapping[str, Mapping[str, Value]]) -> Plan:
    """Give the Storage Service's file its entries below ``storage.databases``. Raises ConfigurationError."""
    text = _text(content, path)
    for name, entry in entries.items():
        text = yaml_edit.put(text, ("storage", "databases", name), entry, path)
    after = text.encode()
    names = ", ".join(entries)
    done = "already" if after == content else "from now on"
    return Plan(path, ("storage", "databases"), content, after, f"{path}: the Storage Service serves {names} {done}")


def goes_remote(content: bytes) -> bool:
    """Whether a file points at the Storage Service already; False also where it cannot be read."""
    try:
        return _kind(yaml_edit.read(_text(content, ""), ""), "") == REMOTE
    except ConfigurationError:
        return False


def section_shown(content: bytes, keys: Keys, where: str) -> str:
    """The section as lines, one for each scalar; only values of harmless keys are shown."""
    node = find(yaml_edit.read(_text(content, where), where), keys)
    return "".join(f"{line}\n" for line in _lines(node, ".".join(keys))) if node else ""


def _lines(node: Node, name: str) -> list[str]:
    if node.id == "scalar":
        harmless = name.rpartition(".")[2] in HARMLESS.split() and "://" not in node.value
        return [f"{name}: {node.value if harmless else HIDDEN}"]
    below = [(item, f"{name}[]") for item in node.value] if node.id == "sequence" else []
    below += [
        (value, f"{name}.{key.value}" if key.id == "scalar" else f"{name}[]") for key, value in yaml_edit.pairs(node)
    ]
    return [line for item, its_name in below for line in _lines(item, its_name)]


def _kind(root: Node, path: str) -> str:
    """database.type; '' where the section does not say. Raises ConfigurationError."""
    section = find(root, SECTION)
    if section is None or section.id != "mapping":
        other = f"has a database section that is no mapping but {yaml_edit.kind(section)}" if section else ""
        raise ConfigurationError(
            f"{path}: {other or 'has no database section'}",
            hint="write the section out as a mapping with type, host, port, dbname and user",
        )
    kind = find(section, ("type",))
    return str(kind.value) if kind is not None and kind.id == "scalar" else ""


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{where}: is not UTF-8 text", hint="save the file as UTF-8, then run again"
        ) from error
