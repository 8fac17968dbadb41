from __future__ import annotations

import string
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidation.errors import ConfigurationError
from consolidation.services.yaml_edit import PLAIN, put, put_back

DATABASE = ("database",)
WANTED = {"type": "storage_service", "schema": "campaign_db", "client": "storage_client"}
BLOCK = "type: storage_service\n  schema: campaign_db\n  client: storage_client"

EDITS = {
    "block": ("database:\n  type: postgresql\n  host: h\nport: 1\n", f"database:\n  {BLOCK}\nport: 1\n"),
    "last, no line end": ("a: 1\ndatabase:\n  type: postgresql", f"a: 1\ndatabase:\n  {BLOCK}"),
    "comments around stay, inside go": (
        "# head\ndatabase:  # ours\n  # old\n  type: postgresql\n  # between\n  host: h  # local\n\n# tail\nz: 1\n",
        f"# head\ndatabase:  # ours\n  # old\n  {BLOCK}\n\n# tail\nz: 1\n",
    ),
    "crlf": (
        "a: 1\r\ndatabase:\r\n  type: postgresql\r\nz: 2\r\n",
        "a: 1\r\ndatabase:\r\n  type: storage_service\r\n  schema: campaign_db\r\n  client: storage_client\r\nz: 2\r\n",
    ),
    "bom": ("\ufeffdatabase:\n  type: postgresql\n", f"\ufeffdatabase:\n  {BLOCK}\n"),
    "four spaces": (
        "database:\n    type: postgresql\n",
        "database:\n    type: storage_service\n    schema: campaign_db\n    client: storage_client\n",
    ),
    "nested, lists and block scalars inside": (
        "database:\n  type: postgresql\n  options:\n    - a\n    - |\n      text\n\n      more\n\n\n# next\nz: 1\n",
        f"database:\n  {BLOCK}\n\n\n# next\nz: 1\n",
    ),
    "alias at the end of the section": (
        "x: &x 1\ndatabase:\n  type: postgresql\n  host: *x\nz: *x\n",
        f"x: &x 1\ndatabase:\n  {BLOCK}\nz: *x\n",
    ),
    "merge inside": (
        "base: &base {host: h}\ndatabase:\n  <<: *base\n  type: postgresql\nz: 1\n",
        f"base: &base {{host: h}}\ndatabase:\n  {BLOCK}\nz: 1\n",
    ),
    "unused anchor on the section": ("database: &db\n  type: postgresql\nz: 1\n", f"database: &db\n  {BLOCK}\nz: 1\n"),
    "document marks and foreign tags": (
        "%YAML 1.1\n---\ndatabase:\n  type: postgresql\nz: !vault |\n  a;b\n...\n",
        f"%YAML 1.1\n---\ndatabase:\n  {BLOCK}\nz: !vault |\n  a;b\n...\n",
    ),
    "the word elsewhere": (
        "x:\n  database:\n    type: postgresql\n'database':\n  type: postgresql\n",
        f"x:\n  database:\n    type: postgresql\n'database':\n  {BLOCK}\n",
    ),
    "beyond the basic plane": ("a: 🜚é\ndatabase:\n  type: postgresql\nz: 🜚\n", f"a: 🜚é\ndatabase:\n  {BLOCK}\nz: 🜚\n"),
    "there already": (f"database:  # done\n  {BLOCK}  # x\n", f"database:  # done\n  {BLOCK}  # x\n"),
    "there already, in another order": (
        "database: {client: storage_client, 'type': \"storage_service\", schema: campaign_db}\n",
    )
    * 2,
}


@pytest.mark.parametrize(("before", "after"), EDITS.values(), ids=EDITS)
def test_only_the_section_changes(before: str, after: str) -> None:
    assert put(before, DATABASE, WANTED, "c.yml") == after
    assert put(after, DATABASE, WANTED, "c.yml") == after


REFUSED = {
    "not YAML": ("a: [1\n", "line 2 is not valid YAML"),
    "tab": ("database:\n\ttype: postgresql\n", "line 2 is not valid YAML"),
    "two documents": ("a: 1\n---\nb: 1\n", "line 2 is not valid YAML .*another document"),
    "empty": ("# nothing\n", "it holds nothing"),
    "a list": ("- 1\n", "a sequence"),
    "key twice": ("database:\n  type: a\nz: 1\ndatabase:\n  type: b\n", "line 4 .*repeats a key"),
    "key twice, quoted": ("a: 1\n'a': 2\n", "line 2 .*repeats a key"),
    "key twice below": ("a:\n  - b: 1\n    b: 2\n", "line 3 .*repeats a key"),
    "anchor inside, used outside": ("database:\n  type: postgresql\n  host: &h secret-host\nz: *h\n", PLAIN),
    "section's anchor used outside": ("database: &db\n  type: postgresql\nz: *db\n", PLAIN),
    "section merged outside": ("database: &db\n  type: postgresql\nz:\n  <<: *db\n", PLAIN),
    "an alias of a block": ("x: &x\n  type: postgresql\ndatabase: *x\n", PLAIN),
    "an alias": ("x: &x {type: postgresql}\ndatabase: *x\n", PLAIN),
    "flow": ("database: {type: postgresql, host: h}  # db\n", f"database is no block mapping.*{PLAIN}"),
    "flow over lines": ("database: {type: postgresql,\n   host: h}\nz: 1\n", PLAIN),
    "json": ('{"a": 1, "database": {"type": "postgresql"}}', PLAIN),
    "a sequence at its place": ("database:\n  - type: postgresql\n", PLAIN),
    "a scalar at its place": ("database: postgresql\n", PLAIN),
    "contains itself": ("a: &a [*a]\ndatabase:\n  type: postgresql\n", "contains itself"),
    "alias without anchor": ("database:\n  type: postgresql\nz: *nope\n", "not valid YAML"),
    "control character": ("a: \x01\n", "not valid YAML"),
}


@pytest.mark.parametrize(("before", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_changed_alone_is_refused_without_a_value_in_the_message(before: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"(?s){said}") as caught:
        put(before, DATABASE, WANTED, "/etc/c.yml")
    assert caught.value.message.startswith("/etc/c.yml: ")
    assert "secret-host" not in str(caught.value)
    assert caught.value.hint


ENTRY = ("storage", "databases", "image_db")
FLAGS = {"schema": "image_db", "migrations": True, "backup": False}
LINES = "schema: image_db\n      migrations: true\n      backup: false"
INSERTED = {
    "beside another": (
        "storage:\n  databases:\n    campaign_db:\n      schema: campaign_db  # c\n\n# tail\nz: 1\n",
        "storage:\n  databases:\n    campaign_db:\n      schema: campaign_db  # c\n"
        f"    image_db:\n      {LINES}\n\n# tail\nz: 1\n",
    ),
    "into an empty flow mapping": (
        "storage:\n  databases: {}  # none yet\nz: 1\n",
        f"storage:\n  databases:  # none yet\n    image_db:\n      {LINES}\nz: 1\n",
    ),
    "into nothing": ("storage:\n  databases:\n", f"storage:\n  databases:\n    image_db:\n      {LINES}\n"),
    "parents missing": ("z: 1\n", f"z: 1\nstorage:\n  databases:\n    image_db:\n      {LINES}\n"),
    "no line end": ("storage:\n  x: 1", f"storage:\n  x: 1\n  databases:\n    image_db:\n      {LINES}"),
    "other flags": (
        "storage:\n  databases:\n    image_db:\n      schema: old\nz: 1\n",
        f"storage:\n  databases:\n    image_db:\n      {LINES}\nz: 1\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), INSERTED.values(), ids=INSERTED)
def test_an_entry_is_added_where_it_belongs(before: str, after: str) -> None:
    assert put(before, ENTRY, FLAGS, "c.yml") == after
    assert put(after, ENTRY, FLAGS, "c.yml") == after


def test_an_entry_is_not_added_to_a_flow_mapping_with_content() -> None:
    with pytest.raises(ConfigurationError, match=r"storage\.databases is no block mapping"):
        put("storage:\n  databases: {a: {schema: a}}\n", ENTRY, FLAGS, "c.yml")


@pytest.mark.parametrize("before", [before for before, after in EDITS.values() if before != after])
def test_the_section_goes_back_as_it_was_and_edits_stay(before: str) -> None:
    after = put(before, DATABASE, WANTED, "c.yml")
    newline = "\r\n" if "\r\n" in before else "\n"
    edit = f"{newline}added: 1{newline}" if not before.endswith(("\n", "...\n")) else f"added: 1{newline}"
    edited, expected = (
        text[:-4] + edit + text[-4:] if text.endswith("...\n") else text + edit for text in (after, before)
    )
    assert put_back(edited, DATABASE, before, "c.yml") == expected


def test_the_section_goes_back_into_another_indentation() -> None:
    before = "database:\n    type: postgresql\n    # why\n    host: h\n"
    edited = "a: 1\ndatabase:\n  type: storage_service\nz: 1\n"
    assert put_back(edited, DATABASE, before, "c") == "a: 1\ndatabase:\n  type: postgresql\n  # why\n  host: h\nz: 1\n"
    with pytest.raises(ConfigurationError, match=PLAIN):
        put_back("database: {type: storage_service}\nz: 1\n", DATABASE, before, "c")


# What a file may hold, written by a library that is not ours, with comments and empty lines sprinkled in.
names = st.text(string.ascii_lowercase, min_size=1, max_size=8).filter(lambda name: name != "database")
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.floats(allow_nan=False)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
sections = st.dictionaries(names, values, max_size=4).map(lambda more: {"type": "postgresql", **more})
noise = st.sampled_from(["", "\n", "# a comment\n", "\n# two\n\n"])


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str, str]:
    """(before the section's lines, the section's lines, after them)"""
    style = draw(st.sampled_from([None, False]))

    def dumped(content: dict[str, Any]) -> str:
        listed = {key: [value] for key, value in content.items()}  # else a root of scalars comes out in flow style
        return yaml.safe_dump(listed, default_flow_style=style, sort_keys=False, allow_unicode=True, width=30)

    head = draw(st.dictionaries(names, values, max_size=3))
    tail = {f"z{key}": value for key, value in draw(st.dictionaries(names, values, max_size=3)).items()}
    section = yaml.safe_dump(
        {"database": draw(sections)}, default_flow_style=False, sort_keys=False, allow_unicode=True
    )
    key, _, inside = section.partition("\n")
    before = draw(noise) + (dumped(head) if head else "") + draw(noise) + key + "\n"
    return before, inside, draw(noise) + (dumped(tail) if tail else "")


@settings(deadline=None)  # the machine may be busy
@given(files())
def test_every_byte_outside_the_section_survives(parts: tuple[str, str, str]) -> None:
    before, inside, after = parts
    text = before + inside + after
    changed = put(text, DATABASE, WANTED, "c.yml")
    assert changed.startswith(before)
    assert changed.endswith(after)
    assert yaml.safe_load(changed) == {**yaml.safe_load(text), "database": WANTED}
    restored = put_back(changed + "\nadded: 1\n", DATABASE, text, "c.yml")
    assert yaml.safe_load(restored) == {**yaml.safe_load(text), "added": 1}
    assert put_back(changed, DATABASE, text, "c.yml").rstrip("\n") == text.rstrip("\n") or "|" in inside
