"""Values of every type that PostgreSQL has and a column can hold."""

from __future__ import annotations

# format_type -> literals. NULL is added by those who use it.
VALUES: dict[str, tuple[str, ...]] = {
    '"char"': ("'a'", "''"),
    "aclitem": ("'=r/consolidation'", "'consolidation=arw*/consolidation'"),
    "bigint": ("0", "9223372036854775807", "-9223372036854775808"),
    "bit": ("B'0'", "B'1'"),
    "bit varying": ("B''", "B'0'", "B'00'"),
    "boolean": ("true", "false"),
    "box": ("'(1,1),(0,-0)'", "'(Infinity,NaN),(-Infinity,0)'"),
    "bytea": ("''", r"'\x00'", r"'\x5c783030220a27'"),
    "character": ("''", "'x'"),
    "character varying": ("''", "'NULL'", r"E'\\N'", "' x '"),
    "cid": ("'0'", "'4294967295'"),
    "cidr": ("'10.0.0.0/8'", "'::/0'"),
    "circle": ("'<(0,0),0>'", "'<(0.1,-0.1),1e-300>'"),
    "date": ("'infinity'", "'0001-01-01 BC'", "'5874897-12-31'"),
    "datemultirange": ("'{}'", "'{[2026-03-29,2026-03-30),[2026-10-25,infinity)}'"),
    "daterange": ("'empty'", "'(,)'", "'[2026-03-29,infinity]'"),
    "double precision": ("'-0'", "'NaN'", "'-Infinity'", "5e-324", "0.1 + 0.2"),
    "inet": ("'10.0.0.1/8'", "'::ffff:1.2.3.4'"),
    "int4multirange": ("'{}'", "'{[1,2),[5,)}'"),
    "int4range": ("'empty'", "'(,)'", "'[1,)'"),
    "int8multirange": ("'{}'", "'{(,1),[9223372036854775806,)}'"),
    "int8range": ("'empty'", "'[-9223372036854775808,9223372036854775807)'"),
    "integer": ("0", "2147483647", "-2147483648"),
    "interval": ("'1 mon -1 day 00:00:00.000001'", "'-178000000 years'", "'720:00'", "'0'"),
    "json": ("'null'", '\'{"a":  1.0, "a": 2}\'', "'\"\\u0000\"'", "' [ ] '"),
    "jsonb": ("'null'", '\'{"b": 1.00, "a": "\\n\\""}\'', "'1e400'", "'\"NULL\"'"),
    "jsonpath": ("'$'", "'strict $.\"a b\"[*] ? (@ > 1.50)'"),
    "line": ("'{1,-1,0.1}'", "'{0,1,NaN}'"),
    "lseg": ("'[(0,0),(1,-0)]'", "'[(NaN,1),(2,3)]'"),
    "macaddr": ("'08:00:2b:01:02:03'",),
    "macaddr8": ("'08:00:2b:01:02:03:04:05'",),
    "money": ("'-92233720368547758.08'", "'0.01'"),
    "name": ("''", "'Ab \"c\"'"),
    "numeric": ("'NaN'", "'-Infinity'", "1.10", "1.1", "1e-1000", "1e1000"),
    "nummultirange": ("'{}'", "'{[1.0,1.10),(2,Infinity)}'"),
    "numrange": ("'empty'", "'[1.0,1.00]'", "'(,NaN)'"),
    "oid": ("0", "4294967295"),
    "path": ("'[(0,0),(1,1)]'", "'((0,0),(1,1),(2,-0))'"),
    "pg_lsn": ("'0/0'", "'FFFFFFFF/FFFFFFFF'"),
    "pg_snapshot": ("'10:20:10,14,15'",),
    "point": ("'(0,-0)'", "'(NaN,Infinity)'"),
    "polygon": ("'((0,0),(1,1),(1,0))'",),
    "real": ("'-0'", "'NaN'", "'Infinity'", "1e-45", "0.1"),
    "refcursor": ("'a cursor'",),
    "regclass": ("'pg_namespace'",),
    "regcollation": ("'\"C\"'",),
    "regconfig": ("'simple'",),
    "regdictionary": ("'simple'",),
    "regnamespace": ("'pg_catalog'",),
    "regoper": ("'^@'",),
    "regoperator": ("'+(integer,integer)'",),
    "regproc": ("'version'",),
    "regprocedure": ("'abs(numeric)'",),
    "regrole": ("'consolidation'",),
    "regtype": ("'timestamp with time zone'",),
    "smallint": ("0", "32767", "-32768"),
    "text": ("''", r"E'tab\tnew\nline\rback\\slash'", "'NULL'", "'ä\U0001f600'"),
    "tid": ("'(0,1)'", "'(4294967295,65535)'"),
    "time with time zone": ("'24:00:00+15:59:59'", "'02:30:00.000001-01'"),
    "time without time zone": ("'24:00:00'", "'00:00:00.000001'"),
    "timestamp with time zone": ("'infinity'", "'2026-10-25 02:30:00.000001+02'", "'4713-01-01 BC'"),
    "timestamp without time zone": ("'-infinity'", "'2026-03-29 02:30:00.999999'"),
    "tsmultirange": ("'{}'", "'{[2026-03-29 02:30,2026-03-29 03:30)}'"),
    "tsquery": ("''", "'''a b'' & !c:*A <2> d'"),
    "tsrange": ("'empty'", "'[2026-03-29 02:30:00.000001,)'"),
    "tstzmultirange": ("'{}'", "'{[2026-03-29 02:30+01,2026-10-25 02:30+02)}'"),
    "tstzrange": ("'empty'", "'(,2026-10-25 02:30+02]'"),
    "tsvector": ("''", "'a:1A,2 ''b c'':3'"),
    "txid_snapshot": ("'10:20:10,14,15'",),
    "uuid": ("'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    "xid": ("'0'", "'4294967295'"),
    "xid8": ("'18446744073709551615'",),
    "xml": ("'<a b=\"&quot;\"/>'", "' text '"),
}

NO_INPUT = {
    "gtsvector",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_ndistinct",
    "pg_node_tree",
}
"""Types of the server's own catalogs, which no statement can give a value."""

EVERY_TYPE = """
SELECT format_type(oid, NULL) FROM pg_type
 WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A' ORDER BY 1
"""


def tables(types: list[str]) -> str:
    """DDL of ``every_type`` and ``every_array``: a column of each type, named like it."""
    plain = ", ".join(f"{_quoted(name)} {name}" for name in types)
    arrays = ", ".join(f"{_quoted(name)} {name}[]" for name in types)
    return f"CREATE TABLE every_type (id serial, {plain}); CREATE TABLE every_array (id serial, {arrays});"


def rows(types: list[str]) -> str:
    """Rows of both tables: every value of every type, NULLs, empty arrays and arrays of two dimensions."""
    names = ", ".join(_quoted(name) for name in types)
    statements = [f"INSERT INTO every_type ({names}) VALUES ({', '.join('NULL' for _ in types)})"]
    for number in range(max(len(VALUES[name]) for name in types)):
        chosen = [VALUES[name][number] if number < len(VALUES[name]) else "NULL" for name in types]
        statements.append(f"INSERT INTO every_type ({names}) VALUES ({', '.join(chosen)})")
    arrays = [
        [f"ARRAY[{', '.join(VALUES[name])}, NULL]::{name}[]" for name in types],
        ["'{}'" for _ in types],
        [f"array_fill({VALUES[name][0]}::{name}, ARRAY[2, 2], ARRAY[0, 2])" for name in types],
    ]
    statements += [f"INSERT INTO every_array ({names}) VALUES ({', '.join(line)})" for line in arrays]
    return "".join(f"{statement};\n" for statement in statements)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
