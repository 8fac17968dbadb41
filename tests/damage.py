"""Kinds of damage to a copied table, and the methods that are to see it. docs/verification.md is made of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from consolidation.compare.digest import Incomparable, comparison, table_digest
from consolidation.compare.reread import readers
from consolidation.errors import VerificationFailed
from consolidation.journal.phase import recorded
from consolidation.postgres.catalog import Table, definitions, read_tables
from consolidation.postgres.connection import session
from consolidation.postgres.queries import value
from consolidation.postgres.snapshot import frozen
from consolidation.verify import by_row_hash as copied
from consolidation.verify import phase as verify
from tests.cluster import Database
from tests.window import Window

SEEN, MISSED, NOT_APPLIED = "seen", "**missed**", "-"


@dataclass(frozen=True)
class Damage:
    """One kind of damage to a table of its own; `{t}` in the statements is the table."""

    kind: str
    statement: str
    """Run on the target after the copy; `{last}` in it is the table of the damage before."""
    columns: str = "id int PRIMARY KEY, a text, b text"
    rows: str = "(1, 'one', 'x'), (2, 'two', 'y'), (3, 'three', NULL)"
    columns_there: str = ""
    """Of the target, where they are not those of the source."""
    blind: str = ""
    """Why the default method does not see it, and what else does."""


def changed(kind: str, type_name: str, old: str, new: str) -> Damage:
    """One value replaced by another."""
    columns, rows = f"id int PRIMARY KEY, v {type_name}", f"(1, {old}), (2, {old}), (3, NULL)"
    return Damage(kind, f"UPDATE {{t}} SET v = {new} WHERE id = 2", columns, rows)


TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN short AS varchar(9) CHECK (VALUE <> 'no');
"""

IN_JSONB = "jsonb does not keep spacing, key order, repeated keys; preflight: `schema.column.json_converted`"
OWN_TRIGGER = (
    "CREATE TRIGGER own BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
)
PARTITIONED = {
    "columns": "id int, a text) PARTITION BY LIST (id); CREATE TABLE {t}_1 PARTITION OF {t} FOR VALUES IN (1, 3);"
    "CREATE TABLE {t}_2 PARTITION OF {t} FOR VALUES IN (2",
    "rows": "(1, 'x'), (2, 'y')",
}
KEYLESS = {"columns": "a text, b text", "rows": "('one', 'x'), ('one', 'x'), ('two', NULL)"}
JSON = {"columns": "id int PRIMARY KEY, v json", "columns_there": "id int PRIMARY KEY, v jsonb"}

DAMAGES: tuple[Damage, ...] = (
    Damage("a lost row", "DELETE FROM {t} WHERE id = 2"),
    Damage("all rows lost", "TRUNCATE {t}"),
    Damage("an extra row", "INSERT INTO {t} VALUES (4, 'four', NULL)"),
    Damage("an extra row of NULLs", "INSERT INTO {t} DEFAULT VALUES", **KEYLESS),
    Damage(
        "one row lost, another one extra",
        "DELETE FROM {t} WHERE id = 2; INSERT INTO {t} VALUES (4, 'two', 'y')",
    ),
    Damage("a row moved to another table: the one that it left", ""),
    Damage("a row moved to another table: the one that it came to", "WITH gone AS (DELETE FROM {last} WHERE id = 2"
           " RETURNING *) INSERT INTO {t} SELECT * FROM gone", rows="(1, 'one', 'x'), (3, 'three', NULL)"),
    Damage("a duplicate without a key", "INSERT INTO {t} VALUES ('one', 'x')", **KEYLESS),
    Damage("another row is the duplicate", "UPDATE {t} SET a = 'two', b = NULL"
           " WHERE ctid = (SELECT min(ctid) FROM {t})", **KEYLESS),
    Damage("a changed key", "UPDATE {t} SET id = 9 WHERE id = 2"),
    Damage("values swapped between rows", "UPDATE {t} SET a = CASE id WHEN 1 THEN 'two' ELSE 'one' END WHERE id < 3"),
    Damage("values swapped between columns", "UPDATE {t} SET a = b, b = a WHERE id = 1"),
    Damage("a value that slid into the next column", "UPDATE {t} SET a = '', b = a || b WHERE id = 1"),
    Damage("columns swapped in all rows", "UPDATE {t} SET a = b, b = a"),
    Damage("a column defaulted instead of copied", "UPDATE {t} SET a = 'x'",
           "id int PRIMARY KEY, a text DEFAULT 'x'", "(1, 'one'), (2, 'x')"),
    changed("'' in place of NULL", "text", "NULL", "''"),
    changed("NULL in place of ''", "text", "''", "NULL"),
    changed("'NULL' in place of NULL", "text", "NULL", "'NULL'"),
    changed("`\\N` in place of NULL", "text", "NULL", r"'\N'"),
    changed("a trailing space", "text", "'x'", "'x '"),
    changed("a trailing space in varchar", "varchar(9)", "'x'", "'x '"),
    changed("a leading space in character(n)", "character(9)", "'x'", "' x'"),
    changed("a trailing line feed", "text", "'x'", "E'x\\n'"),
    changed("case", "text", "'x'", "'X'"),
    changed("another Unicode normal form", "text", "U&'\\00e4'", "U&'a\\0308'"),
    changed("a character lost to the encoding", "text", "'ä'", "'?'"),
    changed("a cut string", "text", "repeat('x', 300)", "repeat('x', 255)"),
    changed("one digit of a bigint", "bigint", "9223372036854775807", "9223372036854775806"),
    changed("-0 in place of 0, double precision", "double precision", "0", "'-0'"),
    changed("-0 in place of 0, real", "real", "0", "'-0'"),
    changed("the last bit of a double precision", "double precision", "0.1", "0.1 + 1e-17 * 2"),
    changed("NULL in place of NaN", "double precision", "'NaN'", "NULL"),
    changed("0 in place of NaN, numeric", "numeric", "'NaN'", "0"),
    changed("-infinity in place of infinity", "double precision", "'infinity'", "'-infinity'"),
    changed("a date in place of infinity", "timestamptz", "'infinity'", "'9999-12-31'"),
    changed("one microsecond, timestamptz", "timestamptz", "'2026-03-29 01:00+00'", "'2026-03-29 01:00:00.000001+00'"),
    changed("one microsecond, timestamp", "timestamp", "'2026-03-29 01:00'", "'2026-03-29 01:00:00.000001'"),
    changed("one microsecond, interval", "interval", "'1 day'", "'1 day 00:00:00.000001'"),
    changed("read in another time zone", "timestamptz", "'2026-03-29 01:00+00'", "'2026-03-29 01:00+02'"),
    changed("the other 02:30 of the night the clocks go back", "timestamptz", "'2026-10-25 02:30+02'",
            "'2026-10-25 02:30+01'"),
    changed("another zone at the same moment, timetz", "timetz", "'01:00+01'", "'00:00+00'"),
    changed("00:00 in place of 24:00", "time", "'24:00'", "'00:00'"),
    changed("30 days in place of 1 month", "interval", "'1 mon'", "'30 days'"),
    changed("numeric scale", "numeric", "1.0", "1.00"),
    changed("a cent", "money", "'0.01'", "'0.02'"),
    changed("json: spacing", "json", "'{\"a\": 1}'", "'{\"a\":1}'"),
    changed("json: key order", "json", "'{\"a\": 1, \"b\": 2}'", "'{\"b\": 2, \"a\": 1}'"),
    changed("json: a repeated key", "json", "'{\"a\": 1, \"a\": 2}'", "'{\"a\": 2}'"),
    changed("json: a `\\u0000` escape", "json", r"""'"a\u0000"'""", "'\"a\"'"),
    changed("json: `\\\\u0000` in place of `\\u0000`", "json", r"""'"\u0000"'""", r"""'"\\u0000"'"""),
    changed("json: NULL in place of null", "json", "'null'", "NULL"),
    changed("json: a string in place of the document", "json", "'{\"a\": 1}'", r"""'"{\"a\": 1}"'"""),
    changed("jsonb: 1.00 in place of 1.0", "jsonb", "'1.0'", "'1.00'"),
    changed("jsonb: a string in place of a number", "jsonb", "'1'", "'\"1\"'"),
    changed("jsonb: [[1, 2]] in place of [[1], 2]", "jsonb", "'[[1], 2]'", "'[[1, 2]]'"),
    changed("jsonb: [] in place of {}", "jsonb", "'{}'", "'[]'"),
    Damage("json → jsonb: a value", "UPDATE {t} SET v = '{\"a\": 2}' WHERE id = 1", **JSON,
           rows="(1, '{\"a\": 1}'), (2, NULL)"),
    Damage("json → jsonb: 1.00 in place of 1.0", "UPDATE {t} SET v = '1.00' WHERE id = 1", **JSON,
           rows="(1, '1.0'), (2, NULL)"),
    Damage("json → jsonb: key order", "UPDATE {t} SET v = '{\"b\": 2, \"a\": 1}' WHERE id = 1", **JSON,
           rows="(1, '{\"a\": 1, \"b\": 2}'), (2, NULL)", blind=IN_JSONB),
    changed("one bit of a bytea", "bytea", r"'\x00ff'", r"'\x01ff'"),
    changed("bytea: a zero byte more", "bytea", r"'\x00'", r"'\x0000'"),
    changed("bytea: escaped twice", "bytea", r"'\x00'", r"'\x5c783030'"),
    changed("one bit of a large value", "text", "repeat(md5('x'), 9999)", "repeat(md5('x'), 9998) || md5('y')"),
    changed("one digit of a uuid", "uuid", "'00000000-0000-0000-0000-000000000000'",
            "'00000000-0000-0000-0000-000000000001'"),
    changed("a longer bit string", "varbit", "B'0'", "B'00'"),
    changed("another netmask", "inet", "'10.0.0.1'", "'10.0.0.1/24'"),
    changed("an array in another order", "int[]", "'{1,2}'", "'{2,1}'"),
    changed("an array of another shape", "int[]", "'{{1,2}}'", "'{1,2}'"),
    changed("an array with another lower bound", "int[]", "'{1,2}'", "'[0:1]={1,2}'"),
    changed("an element 'NULL' in place of NULL", "text[]", "'{NULL}'", "'{\"NULL\"}'"),
    changed("an empty array in place of NULL", "text[]", "NULL", "'{}'"),
    changed("-0 in place of 0 in an array", "float8[]", "'{0}'", "'{-0}'"),
    changed("a composite: '' in place of NULL", "pair", "ROW(1, NULL)", "ROW(1, '')"),
    changed("a composite of NULLs in place of NULL", "pair", "NULL", "ROW(NULL, NULL)"),
    changed("a composite: values swapped", "pair", "ROW(1, '2')", "ROW(2, '1')"),
    changed("another label of an enum", "mood", "'sad'", "'happy'"),
    changed("another value of a domain", "short", "'yes'", "'yes '"),
    changed("another bound of a range", "numrange", "'[1.0,2)'", "'[1.0,2]'"),
    changed("another scale in a range", "numrange", "'[1.0,2)'", "'[1.00,2)'"),
    Damage("a generated column with another expression", "ALTER TABLE {t} DROP COLUMN twice,"
           " ADD COLUMN twice int GENERATED ALWAYS AS (id * 3) STORED",
           "id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED", "(1), (2)"),
    Damage("an identity column renumbered", "TRUNCATE {t} RESTART IDENTITY; INSERT INTO {t} (a) VALUES ('x'), ('y')",
           "id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a text", "(7, 'x'), (9, 'y')"),
    Damage("a sequence behind", "ALTER SEQUENCE {t}_id_seq RESTART", "id serial PRIMARY KEY, a text",
           "(DEFAULT, 'x'), (DEFAULT, 'y')"),
    Damage("the sequence of an identity column behind", "ALTER TABLE {t} ALTER id RESTART",
           "id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text", "(DEFAULT, 'x'), (DEFAULT, 'y')"),
    Damage("a sequence that is lost", "DROP SEQUENCE {t}_id_seq CASCADE", "id serial PRIMARY KEY, a text",
           "(DEFAULT, 'x')"),
    Damage("a partition detached", "ALTER TABLE {t} DETACH PARTITION {t}_2", **PARTITIONED),
    Damage("the table is lost", "DROP TABLE {t}"),
    Damage("an extra column", "ALTER TABLE {t} ADD COLUMN extra text"),
    Damage("a lost column", "ALTER TABLE {t} DROP COLUMN b"),
    Damage("a column of another type", "ALTER TABLE {t} ALTER a TYPE bytea USING a::bytea"),
    Damage("a constraint that is not validated", "ALTER TABLE {t} ADD CHECK (id > 2) NOT VALID"),
    Damage("a constraint of a partition that is not validated", "ALTER TABLE {t}_2 ADD CHECK (id > 2) NOT VALID",
           **PARTITIONED),
    Damage("a lost check", "ALTER TABLE {t} DROP CONSTRAINT {t}_a_check",
           columns="id int PRIMARY KEY, a text CHECK (a <> ''), b text"),
    Damage("a disabled trigger", OWN_TRIGGER.format("{t}") + "; ALTER TABLE {t} DISABLE TRIGGER own"),
    Damage("a disabled trigger of a partition", OWN_TRIGGER.format("{t}_2") + "; ALTER TABLE {t}_2 DISABLE TRIGGER own",
           **PARTITIONED),
    Damage("a lost trigger", "DROP TRIGGER own ON {t}",
           columns="id int PRIMARY KEY, a text, b text); " + OWN_TRIGGER.format("{t}")[:-1]),
    Damage("an index that is not valid", "CREATE INDEX ON ONLY {t} (a)", **PARTITIONED),
    Damage("a lost index", "DROP INDEX {t}_a_idx", rows="(1, 'one', 'x')",
           columns="id int PRIMARY KEY, a text, b text); CREATE INDEX {t}_a_idx ON {t} (a"),
    Damage("a lost primary key", "ALTER TABLE {t} DROP CONSTRAINT {t}_pkey"),
    Damage("a lost NOT NULL", "ALTER TABLE {t} ALTER a DROP NOT NULL",
           columns="id int PRIMARY KEY, a text NOT NULL, b text"),
    Damage("a lost default", "ALTER TABLE {t} ALTER a DROP DEFAULT",
           columns="id int PRIMARY KEY, a text DEFAULT 'x', b text"),
    Damage("another collation", "ALTER TABLE {t} ALTER a TYPE text COLLATE \"C\""),
)  # fmt: skip

NAMES = {damage.kind: f"damaged_{number:03}" for number, damage in enumerate(DAMAGES)}
"""Kind of damage -> its table."""

Seen = dict[str, set[str]]
"""Method -> the tables that it does not call equal."""


def ddl(*, there: bool) -> str:
    """All tables, on the target or on the source."""
    return TYPES + "".join(
        f"CREATE TABLE {{t}} ({(damage.columns_there if there else '') or damage.columns});\n".replace(
            "{t}", NAMES[damage.kind]
        )
        for damage in DAMAGES
    )


def rows() -> str:
    """Rows for all tables of the source."""
    return "".join(f"INSERT INTO {NAMES[damage.kind]} VALUES {damage.rows};\n" for damage in DAMAGES)


def copied_window(source: Database, target: Database, readers: int = 0) -> Window:
    """All tables, copied and behind both fences."""
    source.execute(ddl(there=False) + rows(), role="campaign_owner")
    window = Window(source, target, readers=readers)
    window.begin()
    window.own_schema(ddl(there=True))
    with recorded(window.database, "schema") as work, session(target.settings, "test") as conn:
        work.result["definitions"] = definitions(conn, window.name)  # as the schema phase does for a lineage
    window.fence("source", "closed")
    window.copy()
    return window


def spoil(target: Database) -> None:
    """Do all the damage."""
    statements, last = ["SET consolidation.pass = 'on'", "SET search_path = campaign_db"], ""
    for damage in DAMAGES:
        name = NAMES[damage.kind]
        statements.append(damage.statement.replace("{t}", name).replace("{last}", last))
        last = name
    target.execute(";\n".join(filter(None, statements)), user="consolidation")


def by_verify(window: Window) -> set[str]:
    """The verify phase, as migrate.yml runs it."""
    try:
        result = verify.apply(verify.plan(window.database), verify.Options())
    except VerificationFailed as error:
        if not error.facts:  # nothing was compared
            raise
        result = error.facts
    found = {entry["name"] for entry in result["tables"] if entry["outcome"] != "equal"}
    found |= {entry["name"].split("_id_seq")[0] for entry in result["sequences"] if entry["outcome"] != "equal"}
    return found | {name for name in NAMES.values() if any(f" of {name}" in fault for fault in result["faults"])}


def by_row_hash(window: Window) -> set[str]:
    """The rows as they left the source, hashed, and read again from the target."""
    with frozen(window.target.settings, "test", 1) as target, session(window.source.settings, "test") as source:
        ours = read_tables(source, "public")
        theirs = {table.name: table for table in read_tables(target.coordinator, "campaign_db")}
        both = [(table, theirs[table.name]) for table in ours if table.name in theirs]
        run = window.state()
        at = (target.coordinator, target.exported)
        with readers(1) as reading:
            return set(NAMES.values()) - copied.equal_tables(window.database, run, at, both, reading).keys()


def by_digest(window: Window) -> set[str]:
    """The digest by SQL."""
    return _by_pairs(window, _same_digest)


def by_count(window: Window) -> set[str]:
    """count(*)."""
    return _by_pairs(window, _same_count)


METHODS: Mapping[str, Callable[[Window], set[str]]] = {
    "verify phase": by_verify,
    "row hash": by_row_hash,
    "SQL digest": by_digest,
    "count(*)": by_count,
}
DEFAULT = "verify phase"


def look(window: Window) -> Seen:
    """What every method does not call equal now."""
    return {name: method(window) for name, method in METHODS.items()}


def markdown(sound: Seen, damaged: Seen) -> str:
    """The matrix as the table of docs/verification.md. ``sound``: what the methods said before the damage."""
    lines = [f"| Damage | {' | '.join(METHODS)} | |", f"|---|{'---|' * len(METHODS)}---|"]
    for damage in DAMAGES:
        name = NAMES[damage.kind]
        cells = [
            NOT_APPLIED if name in sound[method] else SEEN if name in damaged[method] else MISSED for method in METHODS
        ]
        lines.append(f"| {damage.kind} | {' | '.join(cells)} | {damage.blind} |")
    return "".join(f"{line}\n" for line in lines)


def _by_pairs(window: Window, same: Callable[..., bool]) -> set[str]:
    with session(window.source.settings, "test") as source, session(window.target.settings, "test") as target:
        ours = {table.name: table for table in read_tables(source, "public")}
        theirs = {table.name: table for table in read_tables(target, "campaign_db")}
        return {
            name
            for name in NAMES.values()
            if name not in theirs or not same((source, ours[name]), (target, theirs[name]))
        }


Side = tuple[Connection, Table]


def _same_digest(here: Side, there: Side) -> bool:
    try:
        columns = comparison(here[1], there[1])
    except Incomparable:
        return False
    return table_digest(*here, columns) == table_digest(*there, columns)


def _same_count(here: Side, there: Side) -> bool:
    counts = [value(conn, f"SELECT count(*) FROM {table.schema}.{table.name}") for conn, table in (here, there)]
    return counts[0] == counts[1]
