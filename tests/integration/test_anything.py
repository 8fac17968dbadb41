"""Whatever a service may have goes there and back; what the runbook cannot carry, preflight refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from consolidation import fence, journal, reconcile, verify
from tests import builtin_types
from tests.cluster import Database
from tests.integration.test_copy import definitions
from tests.window import Window

DATA = Path(__file__).parents[1] / "data"
TABLES, ROWS, WRITES = ((DATA / f"anything_{name}.sql").read_text() for name in ("tables", "rows", "writes"))


def types_of_both(source: Database, target: Database) -> list[str]:
    """The built-in types that both servers have, and their builds support."""
    here, there = ({name for (name,) in side.rows(builtin_types.EVERY_TYPE)} for side in (source, target))
    unknown = (here | there) - builtin_types.VALUES.keys() - builtin_types.NO_INPUT
    assert not unknown, f"tests/builtin_types.py has no values of {unknown}"
    libxml = "SELECT setting LIKE '%with-libxml%' FROM pg_config WHERE name = 'CONFIGURE'"
    without = set() if source.value(libxml) and target.value(libxml) else {"xml"}
    return sorted((here & there) - builtin_types.NO_INPUT - without)


def content(database: Database, schema: str) -> dict[str, list[str]]:
    """Every table that holds rows itself, partitions and children too, as sorted text; and the sequences."""
    names = database.rows(
        "SELECT c.relname, c.relkind::text, c.oid::regclass::text FROM pg_class c"
        " WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'S')",
        [schema],
    )
    found = {}
    for name, kind, qualified in names:
        shown = "last_value || ' ' || is_called" if kind == "S" else "t::text"
        rows = database.rows(f"SELECT {shown} FROM ONLY {qualified} AS t".replace("ONLY", "" if kind == "S" else "ONLY"))
        found[name] = sorted(text for (text,) in rows)
    return found


def fenced_window(source: Database, target: Database, ddl: str, rows: str) -> Window:
    """Up to the closed fence of the source."""
    source.execute(f"SET search_path = public, pg_catalog; {ddl}{rows}", role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.own_schema(ddl)
    window.fence("source", "closed")
    return window


def migrate(window: Window) -> None:
    """Copy, verify and cut over."""
    window.copy()
    assert verify.apply(verify.plan(window.database), verify.Options())["outcome"] == "equal"
    window.cutover()
    window.end(journal.MIGRATED)


def roll_back(window: Window) -> None:
    """Bring the target's writes back to the source and open it."""
    window.begin(journal.ROLLING_BACK)
    window.fence("target", "closed", "rollback_fence")
    plan = reconcile.plan(window.database, "source")
    assert plan.changed
    reconcile.apply(plan)
    assert not reconcile.plan(window.database, "source").changed
    window.fence("source", "open", "rollback_open")


@pytest.mark.every_pair
def test_anything_goes_there_and_back(source: Database, target: Database) -> None:
    types = types_of_both(source, target)
    ddl = TABLES + builtin_types.tables(types)
    window = fenced_window(source, target, ddl, ROWS + builtin_types.rows(types))
    before, there = definitions(source, "public"), definitions(target, "campaign_db")

    migrate(window)
    assert content(target, "campaign_db") == content(source, "public")
    assert definitions(target, "campaign_db") == opened(there)

    target.execute(f"SET search_path = campaign_db, pg_catalog; {WRITES}", user="consolidation")
    written = content(target, "campaign_db")
    assert written != content(source, "public")
    roll_back(window)
    assert content(source, "public") == written
    assert definitions(source, "public") == opened(before)


def opened(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The definitions once the fence's triggers are disabled."""
    return [(*row[:4], "D", *row[5:]) if row[2] == fence.TRIGGER else row for row in rows]
