"""Whatever a service may have goes there and back. What the runbook cannot carry is refused: test_preflight*.py."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from consolidation.fence import state as fence
from consolidation.journal import records
from consolidation.rollback import reconcile
from consolidation.verify import phase as verify
from tests import builtin_types
from tests.cluster import Database, quoted
from tests.integration.copy.test_copy import definitions
from tests.window import Window

DATA = Path(__file__).parents[2] / "data"
NAME = 'Any "DB'
"""Of the database and its schema in the target: such names need quotes too."""
QUOTED = quoted(NAME)
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
        [quoted(schema)],
    )
    found = {}
    for name, kind, qualified in names:
        shown = (
            f"last_value || ' ' || is_called FROM {qualified}" if kind == "S" else f"t::text FROM ONLY {qualified} AS t"
        )
        found[name] = sorted(text for (text,) in database.rows(f"SELECT {shown}"))
    return found


def fenced_window(source: Database, target: Database, ddl: str, rows: str) -> Window:
    """Up to the closed fence of the source."""
    source.execute(f"SET search_path = public, pg_catalog; {ddl}{rows}", role="campaign_owner")
    window = Window(source, target, NAME)
    window.begin()
    window.own_schema(ddl)
    window.fence("source", "closed")
    return window


def migrate(window: Window) -> None:
    """Copy, verify and cut over."""
    window.copy()
    assert verify.apply(verify.plan(window.database), verify.Options())["outcome"] == "equal"
    window.cutover()
    window.end(records.MIGRATED)


def roll_back(window: Window) -> None:
    """Bring the target's writes back to the source and open it."""
    window.begin(records.ROLLING_BACK)
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
    before, there = definitions(source, "public"), definitions(target, NAME)

    migrate(window)
    assert content(target, NAME) == content(source, "public")
    assert definitions(target, NAME) == opened(there)

    target.execute(f"SET search_path = {QUOTED}, pg_catalog; {WRITES}", user="consolidation")
    written = content(target, NAME)
    assert written != content(source, "public")
    roll_back(window)
    assert content(source, "public") == written
    assert definitions(source, "public") == opened(before)


def opened(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The definitions once the fence's triggers are disabled."""
    return [(*row[:4], "D", *row[5:]) if row[2] == fence.TRIGGER else row for row in rows]


MANY = 1000
"""Tables; each with a key, an index, a foreign key and a sequence."""


def many_tables() -> str:
    """A service with many small tables in chains of foreign keys."""
    return "".join(
        f"CREATE TABLE t{n} (id serial PRIMARY KEY, v text, parent int{f' REFERENCES t{n - 1}' if n % 10 else ''});"
        f"CREATE INDEX ON t{n} (v);\n"
        for n in range(MANY)
    )


def many_rows() -> str:
    """Rows in three quarters of them."""
    return "".join(f"INSERT INTO t{n} (v) VALUES ('{n}'), (NULL);\n" for n in range(MANY) if n % 4)


def test_a_thousand_tables(source: Database, target: Database, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = {}
    last = time.monotonic()

    def took(phase: str) -> None:
        nonlocal last
        seconds[phase], last = round(time.monotonic() - last, 1), time.monotonic()

    source.execute(many_tables() + many_rows(), role="campaign_owner")
    window = Window(source, target)
    window.begin()
    window.own_schema(many_tables())
    took("schema")
    window.fence("source", "closed")
    took("fence")
    window.copy()
    took("copy")
    result = verify.apply(verify.plan(window.database), verify.Options())
    took("verify")
    window.cutover()
    took("cutover")
    window.end(records.MIGRATED)
    target.execute("UPDATE campaign_db.t7 SET v = 'new'", user="storage_service")
    took("write")
    roll_back(window)
    took("rollback")
    with capsys.disabled():
        print(f"\n{MANY} tables, seconds: {seconds}")  # noqa: T201 - figures for people
    assert (len(result["tables"]), result["outcome"]) == (MANY, "equal")
    assert source.rows("SELECT v FROM t7 ORDER BY v") == [("new",), ("new",)]


def test_1600_columns(source: Database, target: Database) -> None:
    ddl = (
        "CREATE TABLE wide (" + ", ".join(f"c{n} {('text', 'int', 'jsonb', 'bool')[n % 4]}" for n in range(1600)) + ");"
    )
    values = ", ".join(("'x'", str(n), "'{}'", "true")[n % 4] for n in range(1600))
    window = fenced_window(source, target, ddl, f"INSERT INTO wide VALUES ({values}); INSERT INTO wide DEFAULT VALUES")
    migrate(window)
    assert content(target, NAME) == content(source, "public")
    target.execute(f"UPDATE {QUOTED}.wide SET c1596 = 'new' WHERE c1 IS NULL; DELETE FROM {QUOTED}.wide WHERE c1 = 1")
    written = content(target, NAME)
    roll_back(window)
    assert content(source, "public") == written
