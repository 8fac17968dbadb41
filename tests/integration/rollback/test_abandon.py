"""A source whose storage database is lost opens again, with consent only."""

from __future__ import annotations

import socket
from dataclasses import replace

import psycopg2
import pytest

from consolidation.errors import ConnectionFailed, StepRefused
from consolidation.postgres import reach
from consolidation.rollback import abandon
from tests.cluster import Database
from tests.following import Online
from tests.window import Window

WRITE = "DELETE FROM campaigns WHERE false"


@pytest.fixture
def window(campaign: Database, target: Database) -> Window:
    window = Window(campaign, target)
    window.begin()
    window.fence("source", "closed")
    return window


def test_a_storage_database_that_answers_is_not_lost(window: Window) -> None:
    with pytest.raises(StepRefused, match="it is not lost"):
        abandon.plan(window.database)


def test_a_server_that_refuses_the_session_is_not_lost_but_a_database_that_is_gone_is(window: Window) -> None:
    window.target.execute("ALTER ROLE consolidation NOLOGIN")
    with pytest.raises(StepRefused, match="the server of its storage database answers"):
        abandon.plan(window.database)
    window.target.execute("ALTER ROLE consolidation LOGIN")
    gone = replace(window.database, target=replace(window.database.target, dbname="gone"))
    assert abandon.plan(gone).changed


def test_opened_with_the_typed_sentence_only(window: Window) -> None:
    window.target.server.stop("immediate")
    plan = abandon.plan(window.database)
    assert plan.changed
    for consent in ("", "yes"):
        with pytest.raises(StepRefused, match="is in that database only") as caught:
            abandon.apply(plan, consent, 5)
        assert plan.sentence in caught.value.hint
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        window.source.execute(WRITE, user="campaign_app")
    abandon.apply(plan, plan.sentence, 5)
    window.source.execute(WRITE, user="campaign_app")
    assert not abandon.plan(window.database).changed


def test_a_capture_that_stays_is_named(window: Window) -> None:
    Online(window).capture()
    window.target.server.stop("immediate")
    plan = abandon.plan(window.database)
    assert "source.capture.left" in abandon.apply(plan, plan.sentence, 5)["msg"]
    assert "note what changes in campaigns, chapters" in abandon.plan(window.database).skip_reason


def test_a_server_of_another_language_or_without_a_word_is_not_lost(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Busy, in any language: nothing hangs on the words of its refusal."""

    def refused(*_: object, **__: object) -> None:
        raise ConnectionFailed("cannot connect: SCHWERWIEGEND: tut mir leid, schon zu viele Verbindungen")

    monkeypatch.setattr(abandon, "connect", refused)
    with pytest.raises(StepRefused, match="others may write there"):
        abandon.plan(window.database)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        monkeypatch.setattr(reach, "SECONDS", 0.3)
        silent = replace(window.database.target, port=frozen.getsockname()[1], connect_timeout=1)
        with pytest.raises(StepRefused, match="others may write there"):
            abandon.plan(replace(window.database, target=silent))


def test_a_server_that_is_down_answers_nothing(window: Window) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
    assert not reach.answers(replace(window.database.target, port=port))
    assert reach.answers(window.database.target)
    assert reach.is_missing(replace(window.database.target, dbname="nowhere"))
    assert not reach.is_missing(window.database.target)
