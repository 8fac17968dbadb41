"""Rounds bring over exactly what changed, whatever it was and whoever wrote it."""

from __future__ import annotations

import pytest

from tests import builtin_types
from tests.cluster import Database
from tests.following import Online, started
from tests.integration.test_anything import NAME, ROWS, TABLES, WRITES, content, types_of_both


@pytest.mark.every_pair
def test_anything_is_followed_there_and_back(source: Database, target: Database) -> None:
    types = types_of_both(source, target)
    online = started(source, target, TABLES + builtin_types.tables(types), ROWS + builtin_types.rows(types), NAME)
    with online.follower() as follower:
        first = follower.round()
        assert set(first.whole) == set(first.tables)
        assert rows_of(target, NAME) == rows_of(source, "public")
        assert follower.round().idle

        source.execute(f"SET search_path = public, pg_catalog; {WRITES}", user="campaign_app")
        second = follower.round()
        assert second.complete
        assert rows_of(target, NAME) == rows_of(source, "public")
        assert set(second.whole) == {name for name, brought in second.tables.items() if not keyed(online, name)}
        assert follower.round().idle


def keyed(online: Online, name: str) -> bool:
    return any(table.key for table in online.captured() if table.name == name)


def rows_of(database: Database, schema: str) -> dict[str, list[str]]:
    """The content of all tables; sequences are not followed."""
    sequences = {name for (name,) in database.rows("SELECT relname FROM pg_class WHERE relkind = 'S'")}
    return {name: rows for name, rows in content(database, schema).items() if name not in sequences}
