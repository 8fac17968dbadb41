"""Change one mapping of a YAML file: keys, comments, order and quoting of all the others survive, byte by byte.

The parser's marks say where a value begins and ends; its lines are put in place, and the result is read again: outside
the mapping both must say the same, inside it must say what was wanted. What cannot be changed like that is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeGuard

from ruamel.yaml import YAML
from ruamel.yaml.composer import ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from consolidation.errors import ConfigurationError

Value = str | bool | int | Mapping[str, "Value"]
Keys = tuple[str, ...]
Node = ScalarNode | SequenceNode | MappingNode

BARE = re.compile(r"(?!(?i:true|false|yes|no|on|off|null|y|n)$)[A-Za-z_][A-Za-z0-9_]*")
"""Strings that every YAML version reads as strings without quotes."""
INDENT = 2


def read(text: str, where: str) -> MappingNode:
    """The mapping that a file holds. Raises ConfigurationError, which quotes no value."""
    try:
        root = _composed(text)
        content(root)  # finds repeated keys
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


def content(node: Node | None, but: Keys = ()) -> Any:
    """What it says, without where and how: equal for equal content.

    ``but`` leaves the value at that path out, and its parents where they hold nothing else.
    """
    if node is None or isinstance(node, ScalarNode):
        return node and (str(node.tag), node.value)
    if not isinstance(node, MappingNode):
        return (str(node.tag), tuple(content(item) for item in node.value))
    said: dict[Any, Any] = {}
    for key, value in node.value:
        name, hidden = content(key), bool(but) and key.value == but[0]
        if name in said:
            raise ComposerError(problem="it repeats a key", problem_mark=key.start_mark)
        said[name] = content(value, but[1:] if hidden else ())
        if hidden and (not but[1:] or not _says_something(value) or not said[name][1]):
            del said[name]
    return (str(node.tag), frozenset(said.items()))  # the order of a mapping's keys means nothing


def put(text: str, keys: Keys, wanted: Mapping[str, Value], where: str) -> str:
    """The text with the mapping ``wanted`` at ``keys``, whose parents are made where they are missing."""
    root = read(text, where)
    node = find(root, keys)
    said = content(_composed(json.dumps(wanted)))
    if content(node) == said:
        return text
    if node is None or not _says_something(node):
        changed = _inserted(text, root, keys, wanted, where)
    elif _is_block(node):
        changed = _spliced(text, node, _block(wanted, _column(node), _newline(text)).lstrip(" "))
    else:
        changed = _spliced(text, node, json.dumps(wanted))
    return _proved(root, changed, keys, said, where)


def put_back(text: str, keys: Keys, source: str, where: str) -> str:
    """The text with the mapping at ``keys`` as it is in ``source``, an earlier state of the same file."""
    root, earlier = read(text, where), find(read(source, where), keys)
    node = find(root, keys)
    if node is None or earlier is None:
        raise _bad(where, f"there is no {'.'.join(keys)} any more")
    lines = source[_start(earlier) : _end(source, earlier)]
    if _is_block(earlier):
        column = _column(node) if _is_block(node) else _key(root, keys).start_mark.column + INDENT
        lines = lines.replace("\n" + " " * _column(earlier), "\n" + " " * column)
        if not _is_block(node):
            lines = _newline(text) + " " * column + lines
    return _proved(root, _spliced(text, node, lines), keys, content(earlier), where)


def _composed(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = "1.1"  # as the services read it: a bare `on` is no string
    return yaml.compose(text)


def _says_something(node: Node) -> bool:
    return node.tag != "tag:yaml.org,2002:null" if isinstance(node, ScalarNode) else bool(node.value)


def _is_block(node: Node) -> TypeGuard[MappingNode]:
    return isinstance(node, MappingNode) and not node.flow_style


def _start(node: Node) -> int:
    """Index of its first character; the mark of a block begins at its anchor."""
    return int((node.value[0][0] if _is_block(node) else node).start_mark.index)


def _column(node: MappingNode) -> int:
    return int(node.value[0][0].start_mark.column)


def _end(text: str, node: Node) -> int:
    """Index behind it. The mark of a block reaches to the next key: here it ends with its last line and its comment."""
    if not _is_block(node):
        return int(node.end_mark.index)
    # An alias has the marks of its anchor, which may be anywhere.
    last = max(end for end in _ends(node) if end <= node.end_mark.index)
    return _rest_of_line(text, len(text[:last].rstrip()))


def _ends(node: Node) -> Iterator[int]:
    if isinstance(node, ScalarNode) or node.flow_style:
        yield node.end_mark.index
        return
    for item in node.value:
        for below in item if isinstance(item, tuple) else (item,):
            yield from _ends(below)


def _spliced(text: str, node: Node, lines: str) -> str:
    return text[: _start(node)] + lines + text[_end(text, node) :]


def _inserted(text: str, root: MappingNode, keys: Keys, wanted: Mapping[str, Value], where: str) -> str:
    """Put the missing part of the path below the part that is there."""
    depth = next(depth for depth in range(len(keys), -1, -1) if find(root, keys[:depth]) is not None)
    parent = find(root, keys[:depth])
    assert parent is not None  # noqa: S101 - the root is always there
    missing: Mapping[str, Value] = wanted
    for name in reversed(keys[depth:]):
        missing = {name: missing}
    newline = _newline(text)
    if not _says_something(parent) and depth:
        key = _key(root, keys[:depth])
        column = key.start_mark.column + INDENT
        colon = text.index(":", key.end_mark.index) + 1
        end = parent.end_mark.index if parent.end_mark.index > parent.start_mark.index else colon
        head, tail = text[:colon], text[end:]
    elif _is_block(parent):
        column, end = _column(parent), _end(text, parent)
        head, tail = text[:end], text[end:]
    else:
        raise _bad(where, f"{'.'.join(keys[:depth]) or 'it'} is not a block mapping that an entry can be added to")
    stays = _rest_of_line(tail, 0)
    return head + tail[:stays] + newline + _block(missing, column, newline) + tail[stays:]


def _rest_of_line(text: str, start: int) -> int:
    found = re.compile(r"[^\r\n]*").match(text, start)
    return found.end() if found else start


def _key(root: MappingNode, keys: Keys) -> Node:
    return next(key for key, _ in pairs(find(root, keys[:-1])) if key.value == keys[-1])


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"


def _scalar(value: Value) -> str:
    return value if isinstance(value, str) and BARE.fullmatch(value) else json.dumps(value)


def _block(wanted: Mapping[str, Value], column: int, newline: str) -> str:
    lines = []
    for key, val in wanted.items():
        lines.append(" " * column + f"{_scalar(key)}:" + ("" if isinstance(val, Mapping) else f" {_scalar(val)}"))
        if isinstance(val, Mapping):
            lines.append(_block(val, column + INDENT, newline))
    return newline.join(lines)


def _proved(before: Node, changed: str, keys: Keys, said: Any, where: str) -> str:
    """The changed text, if it says what was wanted and nothing else has changed."""
    with suppress(ConfigurationError):
        after = read(changed, where)
        if content(find(after, keys)) == said and content(before, keys) == content(after, keys):
            return changed
    what = f"{'.'.join(keys)} cannot be changed without changing anything else"
    raise _bad(where, f"{what}: write it without anchors and aliases")


def _bad(where: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: {what}", hint="nothing was changed; correct the file by hand, then run the same command again"
    )
