"""Digests see every difference in content and nothing else, on every pair of versions."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from psycopg2 import sql

from consolidation.compare.digest import CompareColumn, Digest, Incomparable, comparison, digest_statement, table_digest
from consolidation.postgres.catalog import Table, read_tables
from consolidation.postgres.connection import session
from tests.cluster import Database

TYPES = """
SET search_path = s;
CREATE TYPE mood AS ENUM ('sad', 'so "so"', 'happy');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN short AS character(4) CHECK (VALUE <> 'nope');
"""

# type -> literals of values that are pairwise different content
VALUES: dict[str, list[str]] = {
    "text": ["NULL", "''", "'NULL'", "' '", "'a'", "'A'", "'a '", "E'a\\n'", "'\"'", "''''", "'\\'", "'(,)'", "'ä'"],
    "character varying(20)": ["NULL", "''", "'x'", "'x '", "'X'"],
    "character(5)": ["NULL", "''", "'x'", "' x'"],
    "bpchar": ["NULL", "''", "'x'", "'x '"],
    '"char"': ["NULL", "'a'", "'b'", "(-1)::\"char\"", "(-2)::\"char\""],
    "name": ["NULL", "'n'", "'N'"],
    "boolean": ["NULL", "true", "false"],
    "smallint": ["NULL", "0", "-1", "32767"],
    "bigint": ["NULL", "0", "9223372036854775807", "-9223372036854775808"],
    "real": ["NULL", "0", "'-0'", "'NaN'", "'Infinity'", "'-Infinity'", "1e-45", "0.1"],
    "double precision": ["NULL", "0", "'-0'", "'NaN'", "'Infinity'", "'-Infinity'", "0.1", "0.1 + 1e-17 * 2"],
    "numeric": ["NULL", "0", "1", "1.0", "1.00", "'NaN'", "1e-30", "1e30"],
    "money": ["NULL", "'0.01'", "'-0.01'"],
    "date": ["NULL", "'2026-03-29'", "'0044-03-15 BC'", "'infinity'", "'-infinity'"],
    "time with time zone": ["NULL", "'01:00+01'", "'00:00+00'"],
    "timestamp without time zone": ["NULL", "'2026-03-29 02:30'", "'2026-03-29 02:30:00.000001'"],
    "timestamp with time zone": ["NULL", "'2026-10-25 02:30+02'", "'2026-10-25 02:30+01'", "'infinity'"],
    "interval": ["NULL", "'1 mon'", "'30 days'", "'720:00'", "'1 mon -1 day'", "'-1 mon +1 day'", "'-00:00:00.1'"],
    "uuid": ["NULL", "'00000000-0000-0000-0000-000000000000'", "'00000000-0000-0000-0000-000000000001'"],
    "bytea": ["NULL", "''", "'\\x00'", "'\\x0000'", "'a'"],
    "json": ["NULL", "'null'", "'{}'", "'{ }'", "'{\"a\":1,\"b\":2}'", "'{\"b\":2,\"a\":1}'",
        "'{\"a\":1,\"a\":1}'", "'1.0'", "'1.00'"],
    "jsonb": ["NULL", "'null'", "'{}'", "'[]'", "'1.0'", "'1.00'", "'[[1],2]'", "'[[1,2]]'", "'\"a\\\\u0301\"'"],
    "xml": ["NULL", "'<a/>'", "'<a />'"],
    "inet": ["NULL", "'10.0.0.1'", "'10.0.0.1/24'", "'::1'"],
    "bit varying": ["NULL", "B''", "B'0'", "B'00'"],
    "int4range": ["NULL", "'empty'", "'[1,2)'", "'[1,)'"],
    "tsvector": ["NULL", "''", "'a:1'", "'a:2'"],
    "point": ["NULL", "'(0,0)'", "'(0,-0)'"],
    "text[]": ["NULL", "'{}'", "'{NULL}'", "'{\"NULL\"}'", "'{\"\"}'", "'{a,b}'",
        "'{\"a,b\"}'", "'{{a,b}}'", "'[0:1]={a,b}'"],
    "double precision[]": ["NULL", "'{NaN,0}'", "'{NaN,-0}'"],
    "s.mood": ["NULL", "'sad'", "'happy'", "'so \"so\"'"],
    "s.pair": ["NULL", "ROW(NULL, NULL)", "ROW(1, NULL)", "ROW(1, '')", "ROW(1, ',')"],
    "s.pair[]": ["NULL", "ARRAY[ROW(1, NULL)]::s.pair[]", "ARRAY[ROW(1, '')]::s.pair[]"],
    "s.short": ["NULL", "''", "'x'", "' x'"],
}  # fmt: skip


def table(database: Database, name: str) -> Table:
    with session(database.settings, "test") as conn:
        return read_tables(conn, "s", [name])[0]


def digest(database: Database, name: str, columns: Sequence[CompareColumn] | None = None) -> Digest:
    with session(database.settings, "test") as conn:
        return table_digest(conn, read_tables(conn, "s", [name])[0], columns)


def create(database: Database, *statements: str) -> None:
    database.execute("CREATE SCHEMA IF NOT EXISTS s; " + "; ".join(statements), user="consolidation")


def value_digests(database: Database) -> dict[str, list[Digest]]:
    """The digest of a table with one row, for every value of every type."""
    found: dict[str, list[Digest]] = {}
    create(database, TYPES.strip().rstrip(";"))
    with session(database.settings, "test") as conn, conn.cursor() as cursor:
        for number, (kind, values) in enumerate(VALUES.items()):
            if kind == "xml" and not built_with(database, "libxml"):
                continue
            cursor.execute(f"CREATE TABLE s.t{number} (v {kind})")
            [here] = read_tables(conn, "s", [f"t{number}"])
            for literal in values:
                cursor.execute(f"TRUNCATE s.t{number}; INSERT INTO s.t{number} VALUES ({literal})")
                found.setdefault(kind, []).append(table_digest(conn, here))
    return found


def built_with(database: Database, feature: str) -> bool:
    return database.value(f"SELECT setting LIKE '%with-{feature}%' FROM pg_config WHERE name = 'CONFIGURE'")


@pytest.mark.every_pair
def test_every_value_has_its_own_digest_and_the_same_on_both_servers(source: Database, target: Database) -> None:
    here, there = value_digests(source), value_digests(target)
    for kind in here.keys() & there.keys():
        assert here[kind] == there[kind], kind
        assert len(set(here[kind])) == len(VALUES[kind]), kind
    assert here.keys() | there.keys() >= VALUES.keys() - {"xml"}


def test_order_of_rows_and_columns_is_of_no_account(source: Database) -> None:
    create(
        source,
        "CREATE TABLE s.a (x integer, gone text, y text)",
        "INSERT INTO s.a SELECT n, 'gone', 'v' || n FROM generate_series(1, 500) n",
        "ALTER TABLE s.a DROP COLUMN gone",
        "CREATE TABLE s.b (y varchar(30), x bigint)",
        "INSERT INTO s.b SELECT y, x FROM s.a ORDER BY x DESC",
    )
    a, b = table(source, "a"), table(source, "b")
    assert digest(source, "a", comparison(a, b)) == digest(source, "b", comparison(b, a))
    assert digest(source, "a").rows == 500


def test_swaps_duplicates_and_lost_rows_are_seen(source: Database) -> None:
    create(source, "CREATE TABLE s.t (a text, b text)", "INSERT INTO s.t VALUES ('1', '2'), ('3', '4'), ('3', '4')")
    seen = {digest(source, "t")}
    for damaged in (
        "('1', '4'), ('3', '2'), ('3', '4')",  # between rows
        "('2', '1'), ('3', '4'), ('3', '4')",  # between columns
        "('1', '2'), ('1', '2'), ('3', '4')",  # another one is the duplicate
        "('1', '2'), ('3', '4')",
        "('1', '2'), ('3', '4'), ('3', '4'), ('3', '4')",
        "('1', '2'), ('3', '4'), (NULL, NULL)",
        "('1,2', NULL), ('3', '4'), ('3', '4')",
    ):
        create(source, "TRUNCATE s.t", f"INSERT INTO s.t VALUES {damaged}")
        seen.add(digest(source, "t"))
    assert len(seen) == 8


def test_json_and_jsonb_are_compared_as_jsonb(source: Database) -> None:
    create(
        source,
        "CREATE TABLE s.a (j json, js json[])",
        "CREATE TABLE s.b (j jsonb, js jsonb[])",
        """INSERT INTO s.a VALUES ('{"b": 1,   "a": 2}', '{"[1 ]"}'), (NULL, NULL), ('null', '{NULL}')""",
        "INSERT INTO s.b SELECT j, js::text::jsonb[] FROM s.a",
    )
    columns = comparison(table(source, "a"), table(source, "b"))
    assert digest(source, "a", columns) == digest(source, "b", columns)
    create(source, "UPDATE s.b SET j = '{\"b\": 1.0, \"a\": 2}' WHERE j ? 'b'")
    assert digest(source, "a", columns) != digest(source, "b", columns)


def test_columns_that_do_not_match_are_incomparable(source: Database) -> None:
    create(
        source,
        "CREATE TABLE s.a (x text, y integer)",
        "CREATE TABLE s.b (x text)",
        "CREATE TABLE s.c (x text, y text)",
        "CREATE TABLE s.d (x character(3), y integer)",
    )
    a, b, c, d = (table(source, name) for name in "abcd")
    with pytest.raises(Incomparable, match=r"column y is missing in s\.b"):
        comparison(a, b)
    with pytest.raises(Incomparable, match=r"column y is missing in s\.b"):
        comparison(b, a)
    with pytest.raises(Incomparable, match=r"column y of s\.a is integer on one side and text on the other"):
        comparison(a, c)
    with pytest.raises(Incomparable, match="character"):
        comparison(a, d)


def test_tables_of_every_shape(source: Database) -> None:
    odd = 'A "b"\n%s {0}'
    name = '"' + odd.replace('"', '""') + '"'
    create(
        source,
        "CREATE TABLE s.nothing ()",
        "INSERT INTO s.nothing DEFAULT VALUES",
        "INSERT INTO s.nothing DEFAULT VALUES",
        "CREATE TABLE s.empty (x integer)",
        f'CREATE TABLE s.{name} ({name} text, "select" text)',
        f"INSERT INTO s.{name} VALUES ('x', NULL)",
        "CREATE TABLE s.parent (x integer)",
        "CREATE TABLE s.child (z text) INHERITS (s.parent)",
        "INSERT INTO s.parent VALUES (1)",
        "INSERT INTO s.child VALUES (2, 'z')",
        "CREATE TABLE s.divided (x integer) PARTITION BY LIST (x)",
        "CREATE TABLE s.divided_1 PARTITION OF s.divided FOR VALUES IN (1)",
        "CREATE TABLE s.divided_2 PARTITION OF s.divided DEFAULT",
        "INSERT INTO s.divided VALUES (1), (2)",
        "CREATE TABLE s.wide (" + ", ".join(f"c{n} text" for n in range(1600)) + ")",
        "INSERT INTO s.wide DEFAULT VALUES",
    )
    names = ["nothing", "empty", odd, "parent", "child", "divided", "wide"]
    assert [digest(source, name).rows for name in names] == [2, 0, 1, 1, 1, 2, 1]
    assert digest(source, "nothing").sums != (0, 0)
    assert digest(source, "empty").hex == "0" * 32


def test_large_tables_are_read_in_parallel_and_values_printed_once(source: Database) -> None:
    create(
        source,
        "CREATE TABLE s.t (id integer, doc jsonb)",
        "INSERT INTO s.t SELECT n, jsonb_build_object('t', repeat('x', 400)) FROM generate_series(1, 40000) n",
    )
    source.execute("ANALYZE s.t")
    with session(source.settings, "test") as conn, conn.cursor() as cursor:
        statement = digest_statement(table(source, "t"))
        cursor.execute("SET LOCAL min_parallel_table_scan_size = 0")
        cursor.execute(sql.SQL("EXPLAIN (VERBOSE) ") + statement)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Partial Aggregate" in plan
    assert re.search(r"Seq Scan on s\.t\b.*\n\s+Output: \(\(t\.doc\)::text", plan), plan


@pytest.mark.every_pair
def test_collations_have_no_say(source: Database, target: Database) -> None:
    checked = 0
    for database in (source, target):
        if not built_with(database, "icu"):
            continue
        checked += 1
        create(
            database,
            "CREATE COLLATION s.blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
            "CREATE TABLE s.t (v text COLLATE s.blind)",
            "INSERT INTO s.t VALUES ('a')",
        )
        before = digest(database, "t")
        create(database, "UPDATE s.t SET v = 'A'")
        assert digest(database, "t") != before
    if not checked:
        pytest.skip("these servers have no ICU collations")
