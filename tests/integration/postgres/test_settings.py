"""What a role, a database or a pooler says must not change a value, lose a row, or let two into one phase."""

from __future__ import annotations

import io
import time
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from consolidation.backup import phase as backup
from consolidation.compare.digest import table_digest
from consolidation.errors import ConnectionFailed
from consolidation.postgres import connection
from consolidation.postgres.catalog import Table, read_tables, scan
from consolidation.postgres.connection import connect, session
from consolidation.postgres.settings import PINNED
from consolidation.preflight.phase import Options, examine
from consolidation.verify import phase as verify
from demo.servers import installations
from tests.cluster import Database
from tests.pgbouncer import bounced
from tests.pooler import pooled
from tests.window import Window

DATA = Path(__file__).parents[2] / "data"
NASTY = (DATA / "nasty_tables.sql").read_text().replace("{json}", "json") + (DATA / "nasty_rows.sql").read_text()


def test_a_pooler_that_drops_startup_options_changes_nothing(source: Database, tmp_path: Path) -> None:
    source.execute(
        "ALTER ROLE consolidation SET extra_float_digits = 0; ALTER ROLE consolidation SET timezone = 'Asia/Tokyo'"
    )
    with (
        pooled(source.settings, str(tmp_path / "passfile"), transactions=False) as through,
        session(through, "test") as conn,
        conn.cursor() as cursor,
    ):
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name IN ('extra_float_digits', 'TimeZone')")
        assert dict(cursor.fetchall()) == {"extra_float_digits": "3", "TimeZone": "UTC"}


def test_a_pooler_in_transaction_mode_is_refused(source: Database, tmp_path: Path) -> None:
    """One session's lock would be another one's too: two processes would enter one phase."""
    with pooled(source.settings, str(tmp_path / "passfile"), transactions=True) as through:
        with pytest.raises(ConnectionFailed, match="transaction mode") as refused:
            connect(through, "test")
        with pytest.raises(ConnectionFailed, match="transaction mode"):
            connect(through, "test")
    assert "pool_mode = session" in refused.value.hint


@pytest.mark.parametrize("dropped", ["", "extra_float_digits, options"])
def test_pgbouncer_in_session_mode_changes_nothing(source: Database, tmp_path: Path, dropped: str) -> None:
    source.execute(
        "ALTER ROLE consolidation SET extra_float_digits = 0; ALTER ROLE consolidation SET timezone = 'Asia/Tokyo'"
    )
    with bounced(source.settings, tmp_path, pool_mode="session", ignore_startup_parameters=dropped) as through:
        for _ in range(2):  # the second one gets the server of the first
            with session(through, "test") as conn, conn.cursor() as cursor:
                cursor.execute("SELECT current_setting('extra_float_digits'), current_setting('TimeZone')")
                assert cursor.fetchall() == [("3", "UTC")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pool_mode": "transaction"}, "transaction mode"),
        ({"pool_mode": "transaction", "default_pool_size": 1}, "no second session .* within 2 s"),
        ({"pool_mode": "statement"}, "could not set up the session"),
        ({"pool_mode": "session", "default_pool_size": 1}, "no second session .* within 2 s"),
    ],
    ids=["transaction", "transaction-one-server", "statement", "session-one-server"],
)
def test_pgbouncer_that_gives_no_sessions_is_refused(
    source: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str | int], said: str
) -> None:
    monkeypatch.setattr(connection, "POOLER_SECONDS", 2.0)
    started = time.monotonic()
    with (
        bounced(source.settings, tmp_path, **options) as through,
        pytest.raises(ConnectionFailed, match=said) as refused,
    ):
        connect(through, "test")
    assert "session" in refused.value.hint
    assert time.monotonic() - started < 20


def test_a_full_pool_is_waited_for_with_a_limit(
    source: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SETUP_SECONDS", 2.0)
    started = time.monotonic()
    with (
        bounced(source.settings, tmp_path, pool_mode="session", default_pool_size=2) as through,
        session(through, "first"),
        session(through, "second"),
        pytest.raises(ConnectionFailed, match="no answer to the session's first statement within 2 s"),
    ):
        connect(through, "third")
    assert time.monotonic() - started < 20


def test_a_server_process_without_a_pooler_costs_no_second_session(
    source: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_transactions_are_pooled", lambda *_: pytest.fail("asked"))
    connect(source.settings, "test").close()


def test_settings_are_read_back(source: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """As through something that answers SET, but does not do it."""
    pin = connection.pin

    def forgotten(conn: psycopg2.extensions.connection) -> int:
        pid = pin(conn)
        conn.cursor().execute("SET extra_float_digits = 0; SET search_path = public")
        return pid

    monkeypatch.setattr(connection, "pin", forgotten)
    with pytest.raises(ConnectionFailed, match="not in force after they were set: extra_float_digits, search_path"):
        connect(source.settings, "test")


def test_no_query_of_ours_is_compiled(source: Database) -> None:
    """Those on catalogs look dear and read little; a server with LLVM would compile each."""
    source.execute("ALTER ROLE consolidation SET jit = on; ALTER ROLE consolidation SET jit_above_cost = 0")
    with session(source.settings, "test") as conn, conn.cursor() as cursor:
        cursor.execute("SHOW jit")
        assert cursor.fetchall() == [("off",)]


@pytest.mark.parametrize(
    "setting", ["session_replication_role = replica", "zero_damaged_pages = on", "ignore_checksum_failure = on"]
)
def test_what_only_a_superuser_could_unset_is_refused_with_the_fix(source: Database, setting: str) -> None:
    source.execute(f"ALTER DATABASE campaign SET {setting}")
    with pytest.raises(ConnectionFailed, match=setting) as refused:
        connect(source.settings, "test")
    source.execute(refused.value.hint)
    connect(source.settings, "test").close()


# What prints, or is read, as settings say.
ORDINARY = """
CREATE TABLE ordinary (id int PRIMARY KEY, d double precision, r real, ds double precision[], p point, mo money,
  x bytea);
INSERT INTO ordinary SELECT g, 0.1 + g / 3.0, g / 7.0, ARRAY[NULL, 2.0 / 3], point(g / 3.0, 1e-7), 1234.56, '\\xff00'
  FROM generate_series(1, 50) g;
"""
# Values of their own; others are tried at their ends, or each in turn.
VALUES = {
    "search_path": ["public", ""],
    "timezone": ["Asia/Tokyo", "-9:30"],
    "datestyle": ["German, DMY", "SQL, YMD"],
    "client_encoding": ["LATIN1", "SJIS"],
    "lc_monetary": ["C", "C.UTF-8", "de_DE.UTF-8"],
    "lc_numeric": ["C.UTF-8", "de_DE.UTF-8"],
    "lc_time": ["C.UTF-8", "de_DE.UTF-8"],
    "lc_messages": ["C.UTF-8", "de_DE.UTF-8"],
    "role": ["campaign_owner"],
    "session_authorization": ["consolidation"],
    "default_tablespace": ["pg_global"],
    "temp_tablespaces": ["pg_default"],
    "timezone_abbreviations": ["India"],
    "default_text_search_config": ["pg_catalog.german"],
    "restrict_nonsystem_relation_kind": ["view, foreign-table"],
}
# What is no setting of a session's work: debugging aids that make a session crawl or die on purpose, libraries.
LEFT_OUT = ("debug_discard_caches", "local_preload_libraries", "session_preload_libraries", "dynamic_library_path",
            "post_auth_delay", "jit_provider", "allow_in_place_tablespaces", "backtrace_functions")  # fmt: skip

# Below these a server of any size fails, or a test takes minutes.
TOO_LITTLE = ("work_mem", "temp_buffers", "maintenance_work_mem", "temp_file_limit", "max_stack_depth",
              "default_tablespace", "default_table_access_method")  # fmt: skip

LESS_THAN_ALL = {"hash_mem_multiplier": "16"}
"""Instead of the upper end, where all are set at once: one hash table would be 4 GB, for seconds a statement."""


def _values(row: tuple[str, str, str, list[str] | None, str | None, str | None, str | None]) -> list[str]:
    name, kind, boot, labels, low, high, _ = row
    if name.lower() in VALUES:
        return VALUES[name.lower()]
    if kind == "bool":
        return ["off" if boot == "on" else "on"]
    if kind == "enum":
        return [label for label in labels or [] if label != boot and not label.startswith("debug")]
    if kind in {"integer", "real"}:
        return [value for value in (low, high) if value is not None and value != boot]
    return []


@pytest.mark.parametrize("versions", [(16, 16), (18, 18)], indirect=True, ids=["16", "18"])
def test_no_setting_of_a_role_or_database_changes_what_is_read_or_written(source: Database) -> None:
    """Every setting that a role or database can carry: the same content read, and written, or refused with its name."""
    source.execute(NASTY + ORDINARY, role="campaign_owner")

    def content() -> dict[str, object]:
        with session(source.settings, "test") as conn:
            found: dict[str, object] = {}
            for table in read_tables(conn, "public"):
                copied = io.StringIO()
                with conn.cursor() as cursor:
                    rows = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(scan(table))
                    cursor.copy_expert(rows.as_string(conn), copied)
                found[table.name] = (table_digest(conn, table).hex, copied.getvalue(), written(conn, table, copied))
            return found

    def written(conn: psycopg2.extensions.connection, table: Table, copied: io.StringIO) -> str:
        """What the rows are after they came in as text."""
        copied.seek(0)
        again = io.StringIO()
        with conn.cursor() as cursor:
            like = sql.SQL("CREATE TEMPORARY TABLE back AS SELECT * FROM {} WITH NO DATA").format(table.identifier)
            cursor.execute(like)
            cursor.copy_expert("COPY pg_temp.back FROM STDIN", copied)
            cursor.copy_expert("COPY pg_temp.back TO STDOUT", again)
            cursor.execute("DROP TABLE pg_temp.back")
        assert again.getvalue() == copied.getvalue()
        return again.getvalue()

    wanted = content()
    [default] = source.rows("SELECT count(*) FROM pg_settings WHERE context IN ('user', 'superuser')")
    settings = source.rows(
        "SELECT name, vartype, boot_val, enumvals, min_val, max_val, unit FROM pg_settings"
        " WHERE context IN ('user', 'superuser') ORDER BY name"
    )
    assert default[0] > 150
    tried, wrong = 0, []
    with source.connection() as conn:
        conn.autocommit = True
        cursor = conn.cursor()
        for row in settings:
            if row[0] in LEFT_OUT or row[0] == "temp_buffers":  # 8 TB of them
                continue
            for value in _values(row):
                try:
                    cursor.execute(f"ALTER ROLE consolidation SET {row[0]} = %s", [value])
                except psycopg2.Error:
                    continue  # no role can carry it
                tried += 1
                try:
                    if content() != wanted:
                        wrong.append(f"{row[0]} = {value}")
                except ConnectionFailed as error:
                    if row[0] not in f"{error.message} {error.hint}":
                        wrong.append(f"{row[0]} = {value}: {error.message}")
                except Exception as error:  # noqa: BLE001 - all are listed
                    wrong.append(f"{row[0]} = {value}: {type(error).__name__} {error}")
                cursor.execute("ALTER ROLE consolidation RESET ALL")
    assert wrong == []
    assert tried > 200


def test_standard_conforming_strings_and_quoted_identifiers_of_the_databases(
    campaign: Database, target: Database, tmp_path: Path
) -> None:
    """The whole way, with what failed behind the fence."""
    for side, name in ((campaign, "campaign"), (target, "storage")):
        side.execute(f"ALTER DATABASE {name} SET standard_conforming_strings = off")
        side.execute(f"ALTER DATABASE {name} SET quote_all_identifiers = on")
    window = Window(campaign, target)
    window.begin()
    window.schema()
    window.fence("source", "closed")
    window.copy()
    assert verify.apply(verify.plan(window.database), verify.Options())["outcome"] == "equal"
    options = Options(backup_directory=tmp_path, postgresql_bin=installations()[18])
    assert not [f for f in examine(window.database, options).findings if f.id.endswith("check.failed")]


def test_alter_role_set_role_is_no_traceback(campaign: Database, target: Database, tmp_path: Path) -> None:
    campaign.execute("ALTER ROLE consolidation IN DATABASE campaign SET role = 'campaign_owner'")
    options = Options(backup_directory=tmp_path, postgresql_bin=installations()[18])
    findings = examine(Window(campaign, target).database, options).findings
    assert not [finding for finding in findings if finding.id.endswith("check.failed")]


def test_every_pinned_setting_is_one_of_the_oldest_supported_server(source: Database) -> None:
    known = {name.lower() for (name,) in source.rows("SELECT name FROM pg_settings")} | {"role"}
    assert {name.lower() for name in PINNED} <= known


@pytest.mark.parametrize("which", [0, -1], ids=["first", "last"])
def test_no_settings_of_both_roles_change_where_a_window_leads(
    campaign: Database, target: Database, tmp_path: Path, which: int
) -> None:
    """All settings that a role can carry at once, at one of their ends: every statement of ours meets them."""
    for side in (campaign, target):
        names = (
            "SELECT name, vartype, boot_val, enumvals, min_val, max_val, unit FROM pg_settings WHERE context = 'user'"
        )
        with side.connection() as conn:
            conn.autocommit = True
            cursor = conn.cursor()
            given = 0
            for row in side.rows(f"{names} ORDER BY name"):
                if row[0] in LEFT_OUT or row[0] in TOO_LITTLE or not (values := _values(row)):
                    continue
                value = LESS_THAN_ALL.get(row[0], values[which]) if which else values[which]
                try:
                    cursor.execute(f"ALTER ROLE consolidation SET {row[0]} = %s", [value])
                    given += 1
                except psycopg2.Error:
                    continue
        assert given > 80
    window = Window(campaign, target)
    options = Options(backup_directory=tmp_path, postgresql_bin=installations()[18])
    assert not [f for f in examine(window.database, options).findings if f.severity == "blocker"]
    window.begin()
    backup.apply(backup.plan(window.database, tmp_path, installations()[18]))
    window.schema()
    window.fence("source", "closed")
    window.copy()
    assert window.verify()["outcome"] == "equal"
    window.cutover()
