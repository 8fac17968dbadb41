"""Change one mapping of a YAML file: keys, comments, order and quoting of everything else survive.

The parser's marks say where the mapping is; its lines are put in place, and the result is read again: outside the
mapping both must say the same, inside it must say what was wanted. What cannot be changed like that is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from consolidation.errors import ConfigurationError

Value = str | bool | int | Mapping[str, "Value"]
Keys = tuple[str, ...]
Node = ScalarNode | SequenceNode | MappingNode
Said = dict[tuple[object, ...], tuple[str, str]]
"""Path -> tag and text of every value below: equal for equal content, however it is written."""

BARE = re.compile(r"(?!(?i:true|false|yes|no|on|off|null|y|n)$)[A-Za-z_][A-Za-z0-9_]*")
"""Strings that every YAML version reads as strings without quotes."""
EMPTY_LINES = re.compile(r"(?:\r?\n[ \t]*(?:#[^\r\n]*)?)*\Z")
"""Lines without content at the end, comments among them."""
INDENT = "  "
PLAIN = "write it with one key a line, without braces, anchors and aliases"


def read(text: str, where: str) -> MappingNode:
    """The mapping that a file holds. Raises ConfigurationError, which quotes no value."""
    try:
        root = _composed(text)
        said(root)  # finds repeated keys
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _bad(where, f"line {line} is not valid YAML ({error.problem})") from error
    except YAMLError as error:
        raise _bad(where, f"it is not valid YAML ({type(error).__name__})") from error
    except RecursionError as error:
        raise _bad(where, "a value of it contains itself") from error
    if not isinstance(root, MappingNode):
        raise _bad(where, f"it holds {kind(root)}, a service's configuration is one mapping")
    return root


def find(node: Node | None, keys: Keys) -> Node | None:
    """The value below a path of keys."""
    for name in keys:
        node = next((value for key, value in pairs(node) if key.value == name), None)
    return node


def pairs(node: Node | None) -> list[tuple[Node, Node]]:
    """(key, value) of a mapping; nothing of anything else."""
    return list(node.value) if isinstance(node, MappingNode) else []


def kind(node: Node | None) -> str:
    """``a mapping``, ``a sequence``, ``a scalar`` or ``nothing``."""
    return f"a {node.id}" if node is not None else "nothing"


def said(node: Node | None) -> Said:
    """What it says; the order of a mapping's keys means nothing."""
    if node is None:
        return {}
    found: Said = {(): (str(node.tag), node.value if isinstance(node, ScalarNode) else "")}
    for number, item in enumerate([] if isinstance(node, ScalarNode) else node.value):
        key, value = item if isinstance(item, tuple) else (None, item)
        name = number if key is None else key.value if str(key.tag).endswith(":str") else frozenset(said(key).items())
        if (name,) in found:
            raise ComposerError(problem="it repeats a key", problem_mark=key.start_mark)
        found |= {(name, *path): below for path, below in said(value).items()}
    return found


def put(text: str, keys: Keys, wanted: Mapping[str, Value], where: str) -> str:
    """The text with the mapping ``wanted`` at ``keys``, whose parents are made where they are missing."""
    to_say = said(_composed(json.dumps(wanted)))
    if said(find(read(text, where), keys)) == to_say:
        return text
    return _placed(text, keys, list(_block(wanted)), to_say, where)


def put_back(text: str, keys: Keys, source: str, where: str) -> str:
    """The text with the mapping at ``keys`` as it is in ``source``, an earlier state of the same file."""
    earlier = find(read(source, where), keys)
    start, end, column = _place(source, earlier, keys, where)
    lines = [line.removeprefix(" " * column) for line in source[start:end].replace("\r\n", "\n").split("\n")]
    return _placed(text, keys, lines, said(earlier), where)


def _composed(text: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = "1.1"  # as the services read it: a bare `on` is no string
    composed: Node | None = yaml.compose(text)
    return composed


def _place(text: str, node: Node | None, keys: Keys, where: str) -> tuple[int, int, int]:
    """Where a block mapping begins and ends, and its column. The parser's end is the next key."""
    if not isinstance(node, MappingNode) or node.flow_style or not node.value:
        raise _bad(where, f"{'.'.join(keys) or 'it'} is no block mapping", PLAIN)
    first = node.value[0][0].start_mark
    return first.index, len(EMPTY_LINES.sub("", text[: node.end_mark.index])), first.column


def _placed(text: str, keys: Keys, lines: Sequence[str], wanted: Said, where: str) -> str:
    """The lines in place of the mapping, or below the part of the path that is there."""
    root, newline = read(text, where), "\r\n" if "\r\n" in text else "\n"
    filled = (depth for depth in range(len(keys), 0, -1) if not _is_empty(find(root, keys[:depth])))
    depth = next(filled, 0)
    parent, missing = find(root, keys[:depth]), keys[depth:]
    start, end, column = _place(text, parent, keys[:depth], where)
    head, tail = (text[:end] + newline if missing else text[:start], text[end:])
    for key, value in pairs(parent) if missing else ():
        if key.value == missing[0]:  # it has no value yet, or {}
            colon = text.index(":", key.end_mark.index) + 1
            behind = text[value.end_mark.index if value.value != "" else colon :]
            comment, line_end, after = behind.partition("\n")
            head, tail = text[:colon] + comment.rstrip("\r") + newline, line_end and newline + after
            column, missing = key.start_mark.column + len(INDENT), missing[1:]
    for name in reversed(missing):
        lines = [f"{_scalar(name)}:", *(INDENT + line for line in lines)]
    placed = newline.join(" " * column + line if line else line for line in lines)
    changed = head + (placed if depth < len(keys) else placed.lstrip(" ")) + tail
    with suppress(ConfigurationError):
        after_all = read(changed, where)
        if said(find(after_all, keys)) == wanted and _outside(root, keys) == _outside(after_all, keys):
            return changed
    raise _bad(where, f"{'.'.join(keys)} cannot be changed without changing anything else", PLAIN)


def _is_empty(node: Node | None) -> bool:
    return node is None or str(node.tag).endswith(":null") or node.value == []


def _outside(root: Node, keys: Keys) -> Said:
    return {path: value for path, value in said(root).items() if path[: len(keys)] != keys[: len(path)]}


def _block(wanted: Mapping[str, Value]) -> Iterator[str]:
    for key, value in wanted.items():
        yield f"{_scalar(key)}:" if isinstance(value, Mapping) else f"{_scalar(key)}: {_scalar(value)}"
        if isinstance(value, Mapping):
            yield from (INDENT + line for line in _block(value))


def _scalar(value: Value) -> str:
    return value if isinstance(value, str) and BARE.fullmatch(value) else json.dumps(value)


def _bad(where: str, what: str, fix: str = "correct the file by hand") -> ConfigurationError:
    return ConfigurationError(f"{where}: {what}", hint=f"nothing was changed; {fix}, then run the same command again")
