"""Change one mapping of a YAML file and leave every other byte alone: comments, order, quoting, line ends, BOM.

A YAML library that loads and dumps cannot do that. So the text is read as parser events, which know where each value
begins and ends; the wanted lines are put in place, and the result is read again: outside the mapping both must say the
same, inside it must say what was wanted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from consolidation.errors import ConfigurationError

Value = str | bool | int | Mapping[str, "Value"]
Keys = tuple[str, ...]

BARE = re.compile(r"(?!(?i:true|false|yes|no|on|off|null|y|n)$)[A-Za-z_][A-Za-z0-9_]*")
"""Strings that every YAML version reads as strings without quotes."""
COMMENT = re.compile(r"[ \t]+#[^\r\n]*")
INDENT = 2


@dataclass(frozen=True)
class Node:
    """A value of the file, and where it stands."""

    kind: str
    """``mapping``, ``sequence``, ``scalar`` or ``alias``."""
    start: int
    """Index of its first character."""
    end: int
    """Index behind its last character; comments and empty lines that follow are not part of it."""
    line: int
    column: int
    flow: bool = False
    anchor: str = ""
    tag: str = ""
    value: str = ""
    """Of a scalar; the name of an alias."""
    plain: bool = False
    children: tuple[tuple[Node | None, Node], ...] = ()
    """(key, value) of a mapping; (None, item) of a sequence."""

    @property
    def empty(self) -> bool:
        """Whether it says nothing yet: null or {}."""
        return self.value in ("", "~", "null") and self.plain if self.kind == "scalar" else not self.children

    def content(self) -> Any:
        """What it says, without where it says it: equal for equal content."""
        if self.kind == "mapping":
            # The order of a mapping's keys means nothing.
            inner: Any = frozenset((key.content() if key else None, child.content()) for key, child in self.children)
        else:
            inner = tuple(child.content() for _, child in self.children)
        return (self.kind, self.anchor, self.tag, self.value, self.plain, inner)

    def walk(self) -> Iterator[Node]:
        """This node and everything below."""
        yield self
        for key, child in self.children:
            if key:
                yield from key.walk()
            yield from child.walk()

    def get(self, name: str) -> Node | None:
        """The value of a mapping's key."""
        return next((child for key, child in self.children if key and key.value == name), None)

    def find(self, keys: Keys) -> Node | None:
        """The value below a path of keys."""
        node: Node | None = self
        for name in keys:
            node = node.get(name) if node and node.kind == "mapping" else None
        return node

    def says(self, wanted: Value) -> bool:
        """Whether it says what is wanted."""
        if isinstance(wanted, Mapping):
            keys = {key.value: child for key, child in self.children if key}
            return (
                self.kind == "mapping"
                and keys.keys() == wanted.keys()
                and all(keys[name].says(value) for name, value in wanted.items())
            )
        if isinstance(wanted, str):
            return self.kind == "scalar" and self.value == wanted and (not self.plain or bool(BARE.fullmatch(wanted)))
        return self.kind == "scalar" and self.plain and self.value == json.dumps(wanted)


def read(text: str, where: str) -> Node:
    """The mapping that a file holds. Raises ConfigurationError, which quotes no value."""
    try:
        list(YAML(typ="safe", pure=True).compose_all(text))  # aliases without an anchor
        events = [event for event in YAML(typ="safe", pure=True).parse(text) if _is_content(event)]
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _bad(where, f"line {line} is not valid YAML ({error.problem})") from error
    except YAMLError as error:
        raise _bad(where, f"it is not valid YAML ({type(error).__name__})") from error
    roots = []
    while events:
        roots.append(_node(events, text))
    if len(roots) != 1 or roots[0].kind != "mapping":
        found = f"{len(roots)} documents" if len(roots) != 1 else f"a {roots[0].kind}"
        raise _bad(where, f"it holds {found}, a service's configuration is one mapping")
    for node in roots[0].walk():
        _refuse_duplicates(node, where)
    return roots[0]


def put(text: str, keys: Keys, wanted: Mapping[str, Value], where: str) -> str:
    """The text with the mapping ``wanted`` at ``keys``, whose parents are made where they are missing."""
    root = read(text, where)
    node = root.find(keys)
    if node is not None and node.says(wanted):
        return text
    if node is None or node.empty:
        changed = _insert(text, root, keys, wanted, where)
    else:
        changed = _replace(text, node, _rendered(text, root, node, wanted))
    return _proved(root, changed, keys, where, lambda after: after.says(wanted))


def put_back(text: str, keys: Keys, source: str, where: str) -> str:
    """The text with the mapping at ``keys`` as it stands in ``source``, an earlier state of the same file."""
    root, earlier = read(text, where), read(source, where)
    node, wanted = root.find(keys), earlier.find(keys)
    if node is None or wanted is None:
        raise _bad(where, f"there is no {'.'.join(keys)} any more")
    lines = source[wanted.start : _end(source, wanted)]
    if not wanted.flow:
        column = node.column if not node.flow else _key(root, keys).column + INDENT
        lines = lines.replace("\n" + " " * wanted.column, "\n" + " " * column)
        if node.flow:
            lines = _newline(text) + " " * column + lines
    changed = _replace(text, node, lines)
    return _proved(root, changed, keys, where, lambda after: after.content() == wanted.content())


def _is_content(event: Any) -> bool:
    return type(event).__name__ not in ("StreamStartEvent", "StreamEndEvent", "DocumentStartEvent", "DocumentEndEvent")


def _node(events: list[Any], text: str) -> Node:
    """Take the events of one value off the list."""
    event = events.pop(0)
    mark = event.start_mark
    node = Node("scalar", mark.index, event.end_mark.index, mark.line + 1, mark.column, anchor=event.anchor or "")
    if isinstance(event, AliasEvent):
        return replace(node, kind="alias", anchor="", value=event.anchor)
    node = replace(node, tag=str(event.tag or ""))
    if isinstance(event, ScalarEvent):
        end = len(text[: node.end].rstrip()) if event.style in ("|", ">") else node.end
        return replace(node, end=max(end, node.start), value=event.value, plain=event.style in (None, ""))
    kind = "mapping" if isinstance(event, MappingStartEvent) else "sequence"
    children = []
    while not type(events[0]).__name__.endswith("EndEvent"):
        key = _node(events, text) if isinstance(event, MappingStartEvent) else None
        children.append((key, _node(events, text)))
    assert isinstance(event, MappingStartEvent | SequenceStartEvent)  # noqa: S101 - nothing else has an end
    closing = events.pop(0).end_mark.index
    node = replace(node, kind=kind, end=closing, flow=bool(event.flow_style), children=tuple(children))
    if node.flow or not children:
        return node
    # The parser's marks of a block reach from its anchor to the next key, comments in between included.
    first = children[0][0] or children[0][1]
    return replace(node, start=first.start, line=first.line, column=first.column, end=children[-1][1].end)


def _refuse_duplicates(node: Node, where: str) -> None:
    seen: dict[Any, int] = {}
    for key, _ in node.children:
        if key is not None:
            name = key.value if key.kind == "scalar" else key.content()
            if name in seen:
                raise _bad(where, f"line {key.line} repeats a key of line {seen[name]}")
            seen[name] = key.line


def _rendered(text: str, root: Node, node: Node, wanted: Mapping[str, Value]) -> str:
    """``wanted`` in the style of the value that stands there."""
    if root.flow:
        return json.dumps(wanted)
    if node.flow or node.kind != "mapping":
        return _flow(wanted)
    return _block(wanted, node.column, _newline(text)).lstrip(" ")


def _replace(text: str, node: Node, lines: str) -> str:
    return text[: node.start] + lines + text[_end(text, node) :]


def _end(text: str, node: Node) -> int:
    """Behind the value; a comment on the last line of a block is about that line and goes with it."""
    if node.flow:
        return node.end
    comment = COMMENT.match(text, node.end)
    return comment.end() if comment else node.end


def _insert(text: str, root: Node, keys: Keys, wanted: Mapping[str, Value], where: str) -> str:
    """Put the missing part of the path below the part that is there."""
    depth = next(depth for depth in range(len(keys), -1, -1) if root.find(keys[:depth]) is not None)
    parent = root.find(keys[:depth])
    assert parent is not None  # noqa: S101 - the root is always there
    missing: Mapping[str, Value] = wanted
    for name in reversed(keys[depth:]):
        missing = {name: missing}
    if parent.kind == "alias" or (not parent.empty and (parent.kind != "mapping" or parent.flow)):
        raise _bad(where, f"{'.'.join(keys[:depth]) or 'it'} is not a block mapping that an entry can be added to")
    newline = _newline(text)
    if parent.empty and depth:
        key = _key(root, keys[:depth])
        column = key.column + INDENT
        colon = text.index(":", key.end) + 1
        head, tail = text[:colon], text[parent.end if parent.end > parent.start else colon :]
    else:
        column = parent.column
        head, tail = text[: parent.end], text[parent.end :]
    rest_of_line = re.match(r"[^\r\n]*", tail)
    assert rest_of_line is not None  # noqa: S101 - it matches nothing, too
    stays = rest_of_line.group()
    return head + stays + newline + _block(missing, column, newline) + tail[len(stays) :]


def _key(root: Node, keys: Keys) -> Node:
    parent = root.find(keys[:-1])
    assert parent is not None  # noqa: S101 - its child was found
    return next(key for key, _ in parent.children if key and key.value == keys[-1])


def _newline(text: str) -> str:
    return "\r\n" if re.search(r"\r?\n", text + "\n").group() == "\r\n" else "\n"  # type: ignore[union-attr]  # it is there


def _scalar(value: Value) -> str:
    return value if isinstance(value, str) and BARE.fullmatch(value) else json.dumps(value)


def _flow(wanted: Mapping[str, Value]) -> str:
    pairs = (
        f"{_scalar(key)}: {_flow(val) if isinstance(val, Mapping) else _scalar(val)}" for key, val in wanted.items()
    )
    return "{" + ", ".join(pairs) + "}"


def _block(wanted: Mapping[str, Value], column: int, newline: str) -> str:
    lines = []
    for key, val in wanted.items():
        lines.append(" " * column + f"{_scalar(key)}:" + ("" if isinstance(val, Mapping) else f" {_scalar(val)}"))
        if isinstance(val, Mapping):
            lines.append(_block(val, column + INDENT, newline))
    return newline.join(lines)


def _proved(before: Node, changed: str, keys: Keys, where: str, right: Any) -> str:
    """The changed text, if it says what was wanted and nothing else has changed."""
    what = ".".join(keys)
    after = read(changed, where)
    node = after.find(keys)
    anchors = {below.anchor for below in (before.find(keys) or replace(before, children=())).walk()} - {""}
    left = {below.value for below in _without(after, keys).walk() if below.kind == "alias"}
    if anchors & left:
        raise _bad(where, f"other sections use the anchor {sorted(anchors & left)[0]} that stands in {what}")
    if node is None or not right(node) or not _same_elsewhere(before, after, keys):
        raise _bad(where, f"{what} cannot be changed without changing anything else")
    return changed


def _same_elsewhere(before: Node, after: Node, keys: Keys) -> bool:
    return bool(_without(before, keys).content() == _without(after, keys).content())


def _without(node: Node, keys: Keys) -> Node:
    """The tree without the value at the path, and without parents that hold nothing else."""
    kept: list[tuple[Node | None, Node]] = []
    for key, child in node.children:
        if key is not None and key.value == keys[0]:
            below = _without(child, keys[1:]) if len(keys) > 1 else None
            if below is None or below.empty:
                continue
            kept.append((key, below))
        else:
            kept.append((key, child))
    return replace(node, children=tuple(kept))


def _bad(where: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: {what}", hint="nothing was changed; correct the file by hand, then run the same command again"
    )
