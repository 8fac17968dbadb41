"""Every kind of damage that the issue knows is seen by the default method, or the page says plainly that it is not."""

from __future__ import annotations

import pytest

from tests import damage, rereading
from tests.cluster import Database
from tools.verification_docs import PAGE, page


def test_the_matrix_of_damages_and_methods(source: Database, target: Database) -> None:
    window = damage.copied_window(source, target)
    sound = damage.look(window)
    assert sound["verify phase"] == sound["SQL digest"] == sound["count(*)"] == set()

    damage.spoil(target)
    damaged = damage.look(window)
    missed = {kind for kind, name in damage.NAMES.items() if name not in damaged[damage.DEFAULT]}
    assert missed == {each.kind for each in damage.DAMAGES if each.blind}
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text, damage.markdown(sound, damaged)), "run `make docs`"


def test_the_same_damage_to_tables_that_were_read_before_it(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rereading.allow(monkeypatch)
    window = damage.copied_window(source, target, readers=2)
    proved = rereading.proved_earlier(window.verify())
    assert len(proved) > len(damage.NAMES) / 2

    damage.spoil(target)
    seen = damage.by_verify(window)
    assert {kind for kind, name in damage.NAMES.items() if name not in seen} == {
        each.kind for each in damage.DAMAGES if each.blind
    }
