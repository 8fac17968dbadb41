"""What an ordinary database holds beside its tables does not stop the backup; what does stop it, preflight names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from consolidation.backup import archive
from consolidation.backup import phase as backup
from consolidation.errors import ConsolidationError
from consolidation.preflight import values
from consolidation.preflight.findings import Finding
from consolidation.preflight.phase import Options, examine
from demo.servers import installations
from tests.cluster import Cluster, Database
from tests.window import Window

LOOK_UP = (
    "CREATE FUNCTION public.known(uuid) RETURNS bool LANGUAGE {} STABLE AS"
    " 'BEGIN RETURN $1 IS NULL OR EXISTS (SELECT FROM campaigns WHERE id = $1); END';"
)
IN_SQL = LOOK_UP.format("sql").replace("BEGIN RETURN", "SELECT").replace("; END", "")


@dataclass
class Case:
    """What the source has; the finding, and a word of it; whether the backup is made all the same."""

    statements: str
    kind: str
    what: str
    made: bool | None = True
    """None: that depends on the order in which the jobs of the restore take the tables."""


CASES = {
    "monitoring extension": Case(
        "CREATE EXTENSION pg_stat_statements", "source.backup.not_restored", "extension pg_stat_statements"
    ),
    "extension in a schema of its own, and a view of it": Case(
        "CREATE SCHEMA monitoring; CREATE EXTENSION pg_buffercache SCHEMA monitoring;"
        "CREATE VIEW monitoring.v AS SELECT * FROM monitoring.pg_buffercache",
        "source.backup.not_restored",
        "extension pg_buffercache",
    ),
    "event trigger": Case(
        "CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RETURN; END';"
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.f()",
        "source.object.event_trigger",
        "watch",
    ),
    "large object": Case("SELECT lo_from_bytea(0, 'x')", "source.backup.not_restored", "large objects"),
    "xml with an encoding declaration": Case(
        "ALTER TABLE chapters ADD doc xml;"
        """UPDATE chapters SET doc = '<?xml version="1.0" encoding="ISO-8859-1"?><a/>'""",
        "",
        "",
    ),
    "check by a function that names a table without schema": Case(
        IN_SQL + "ALTER TABLE chapters ADD CONSTRAINT known CHECK (public.known(campaign_id))",
        "source.backup.function",
        "constraint known calls public.known(uuid)",
        made=False,
    ),
    "the same in PL/pgSQL": Case(
        LOOK_UP.format("plpgsql") + "ALTER TABLE chapters ADD CONSTRAINT known CHECK (public.known(campaign_id))",
        "source.backup.function",
        "constraint known calls public.known(uuid)",
        made=False,
    ),
    "index by a function that names another without schema": Case(
        "CREATE FUNCTION public.fold(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';"
        "CREATE FUNCTION public.folded(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT fold($1)';"
        "CREATE INDEX folded ON chapters (public.folded(title))",
        "source.backup.function",
        "index folded calls public.folded(text)",
        made=False,
    ),
    "generated column by such a function": Case(
        "CREATE FUNCTION public.fold(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';"
        "CREATE FUNCTION public.folded(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN fold($1); END';"
        "ALTER TABLE chapters ADD folded text GENERATED ALWAYS AS (public.folded(title)) STORED",
        "source.backup.function",
        "generated column folded calls public.folded(text)",
        made=False,
    ),
    "a function with a search_path of its own": Case(
        "CREATE FUNCTION public.fold(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';"
        "CREATE FUNCTION public.folded(text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = public"
        " AS 'SELECT fold($1)'; CREATE INDEX folded ON chapters (public.folded(title))",
        "",
        "",
    ),
    "check that reads another table": Case(
        IN_SQL + "ALTER FUNCTION known SET search_path = public;"
        "ALTER TABLE chapters ADD CONSTRAINT known CHECK (public.known(campaign_id))",
        "source.backup.check_reads",
        "public.chapters.known",
        made=None,
    ),
}


@pytest.mark.parametrize("versions", [(15, 15)], indirect=True)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_the_backup_will_meet(campaign: Database, target: Database, tmp_path: Path, case: Case) -> None:
    campaign.execute(f"SET search_path = public; {case.statements}")
    window, tools = Window(campaign, target), installations()[18]
    found = examine(window.database, Options(backup_directory=tmp_path, postgresql_bin=tools)).findings
    if case.kind:
        assert [each for each in found if each.id == case.kind and case.what in f"{each.subject} {each.what}"], found
    else:
        assert not _of_the_backup(found)
    if case.made is None:
        return
    window.begin()
    planned = backup.plan(window.database, tmp_path, tools)
    if case.made:
        made = backup.apply(planned)
        left = [*made["drill"]["not_restored"], *made["left_out"]]
        assert bool(left) == (case.kind != ""), left
        assert all(each.split(":")[0] in made["msg"] for each in left[:5])
        assert not [each for each in left if each.endswith(": ") or "which may quote a row" in each]
        return
    with pytest.raises(ConsolidationError) as raised:
        backup.apply(planned)
    assert "which may quote a row" not in raised.value.message
    assert "does not exist" in raised.value.message or archive.LOST in raised.value.message
    assert "chapters" in raised.value.message or "folded" in raised.value.message


def _of_the_backup(found: tuple[Finding, ...]) -> list[Finding]:
    return [each for each in found if each.id.startswith("source.backup.")]


def test_an_extension_that_the_tables_need_and_the_drill_cannot_make(
    campaign: Database, target: Database, tmp_path: Path
) -> None:
    campaign.execute("CREATE EXTENSION vector; ALTER TABLE public.chapters ADD v vector(2)")
    target.execute("CREATE EXTENSION vector")
    window = Window(campaign, target)
    tools = installations()[18]
    found = examine(window.database, Options(backup_directory=tmp_path, postgresql_bin=tools)).findings
    trusted = campaign.value("SELECT bool_or(trusted) FROM pg_available_extension_versions WHERE name = 'vector'")
    assert [each.id for each in _of_the_backup(found)] == ([] if trusted else ["source.backup.extension"])


LONG = "repeat('x', 4000000)"
LARGE = {
    "bytea": f"{LONG}::bytea",
    "text": LONG,
    "character varying": LONG,
    "character(4000000)": "'x'",
    "json": f"to_json({LONG})",
    '"char"[]': """(SELECT array_agg('\\377'::"char") FROM generate_series(1, 530000))""",
    "jsonb": f"to_jsonb({LONG})",
    "public.doc": "(SELECT jsonb_agg(9.9e131000) FROM generate_series(1, 31))",
    "xml": LONG + "::xml",
    "text[]": f"ARRAY[{LONG}]",
    "bit varying": "repeat('1', 4000000)::bit varying",
    "bigint[]": "(SELECT array_agg(1000000000000 + g) FROM generate_series(1, 300000) g)",
    "numeric[]": "(SELECT array_agg(9.9e131000) FROM generate_series(1, 31))",
    "nummultirange": "(SELECT range_agg(numrange(g * 1e131000, (g + 0.5) * 1e131000)) FROM generate_series(1, 16) g)",
    "public.sums": "ROW((SELECT array_agg(9.9e131000) FROM generate_series(1, 31)))::public.sums",
    "public.note": f"ROW(1, {LONG})::public.note",
    "public.long": LONG,
    "public.longer": LONG,
}


@pytest.mark.parametrize("versions", [(15, 15)], indirect=True)  # with libxml
@pytest.mark.parametrize("storage", ["EXTERNAL", "EXTENDED"])
def test_a_value_too_large_is_named(
    campaign: Database, target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    """Of any type, compressed or not; and none that is small in print."""
    monkeypatch.setattr(values, "LARGEST_BYTES", 3_000_000)
    campaign.execute(
        "CREATE DOMAIN public.price AS numeric; CREATE DOMAIN public.doc AS jsonb;"
        "CREATE TYPE public.sums AS (n public.price[]);"
        "CREATE TYPE public.note AS (n int, t text); CREATE DOMAIN public.long AS text;"
        "CREATE DOMAIN public.longer AS public.long CHECK (value <> '');"
        "CREATE TABLE public.none (id int PRIMARY KEY, a text, b jsonb);"
        "INSERT INTO public.none SELECT g, repeat('x', 2000000), to_jsonb(repeat('x', 1000000))"
        " FROM generate_series(1, 5) g",
        role="campaign_owner",
    )
    for number, (type_name, value) in enumerate(LARGE.items()):
        campaign.execute(
            f'CREATE TABLE public.t{number} (id int PRIMARY KEY, "Big" {type_name});'
            f'ALTER TABLE public.t{number} ALTER "Big" SET STORAGE {storage}; INSERT INTO public.t{number} VALUES'
            f" (1, {value}), (2, NULL); INSERT INTO public.t{number} SELECT 3, NULL",
            role="campaign_owner",
        )
    large = {each.subject: each.what for each in _large(campaign, target, tmp_path)}
    assert large.keys() == {f"public.t{number}.Big" for number in range(len(LARGE))}
    assert all(what.startswith("1 value(s) above 3.0 MB, the largest 4.") for what in large.values()), large


def test_a_row_too_large_is_named(
    campaign: Database, target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "LARGEST_BYTES", 3_000_000)
    campaign.execute(
        "CREATE TABLE public.wide (id int PRIMARY KEY, a bytea, b jsonb, c text);"
        "INSERT INTO public.wide SELECT g, repeat('x', 1800000)::bytea, to_jsonb(repeat('x', 2800000)), 'c' FROM"
        " generate_series(1, 2) g; INSERT INTO public.wide VALUES (3, repeat('x', 1800000)::bytea, '1', 'c')",
        role="campaign_owner",
    )
    [large] = _large(campaign, target, tmp_path)
    assert large.subject == "public.wide"
    assert large.what.startswith("2 row(s) whose values together are longer than 6.0 MB in print")


def test_a_value_that_no_server_can_print_is_named(
    campaign: Database, target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "LARGEST_BYTES", 200_000)
    campaign.execute(
        "CREATE TABLE public.dense (id int PRIMARY KEY, n numeric[]);"
        "ALTER TABLE public.dense ALTER n SET STORAGE EXTERNAL;"
        "INSERT INTO public.dense SELECT 1, array_agg(9.9e131000) FROM generate_series(1, 8300)",
        role="campaign_owner",
    )
    [large] = _large(campaign, target, tmp_path)
    assert large.subject == "public.dense.n"
    assert "at least one value cannot be printed" in large.what


def test_what_is_not_looked_for_in_a_large_table_is_said(
    campaign: Database, target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values, "MEASURED_BYTES", 100_000)
    monkeypatch.setattr(values, "LARGEST_BYTES", 3_000_000)
    campaign.execute(
        'CREATE TABLE public.docs (id int PRIMARY KEY, "J" jsonb);'
        "INSERT INTO public.docs SELECT 1, jsonb_agg(9.9e131000) FROM generate_series(1, 31);"
        "INSERT INTO public.docs SELECT g, to_jsonb(repeat(md5(g::text), 40)) FROM generate_series(2, 200) g",
        role="campaign_owner",
    )
    assert _large(campaign, target, tmp_path) == []
    [said] = _large(campaign, target, tmp_path, "source.backup.value_not_measured")
    assert said.subject == "public.docs"
    assert "numbers in J that print far longer" in said.what
    [(place,)] = campaign.rows(said.fix.split("look now: ")[1])
    assert place == "(0,1)"


def _large(
    campaign: Database, target: Database, directory: Path, kind: str = "source.backup.value_too_large"
) -> list[Finding]:
    options = Options(backup_directory=directory, postgresql_bin=installations()[18])
    found = examine(Window(campaign, target).database, options).findings
    return [each for each in found if each.id == kind]


OWN_NOTE = (
    "UPDATE pg_attribute SET attoptions = '{pg_attver=22161408}' WHERE attnum > 0 AND attname = 'id'"
    " AND attrelid = 'public.chapters'::regclass"
)


def test_notes_of_a_newer_minor_release_in_the_dump(campaign: Database, target: Database, tmp_path: Path) -> None:
    """As 15.20 and its kin have them: an older pg_dump writes them as options of columns, which no server takes."""
    campaign.execute(OWN_NOTE)
    window, tools = Window(campaign, target), installations()[18]
    options = Options(backup_directory=tmp_path, postgresql_bin=tools)
    findings = examine(window.database, options).findings
    [old] = _of_the_backup(findings)
    assert (old.id, old.subject) == ("source.backup.column_option", "pg_attver")
    assert not [each for each in findings if "pg_attver" in each.fix]  # no statement sets it
    window.begin()
    with pytest.raises(ConsolidationError, match=r'TABLE public chapters .* unrecognized parameter "pg_attver"'):
        backup.apply(backup.plan(window.database, tmp_path, tools))
    target.execute("CREATE TABLE public.newer (id int)")
    target.execute(OWN_NOTE.replace("chapters", "newer"))  # its server knows them
    assert not _of_the_backup(examine(window.database, options).findings)


def test_what_pg_dump_fails_on_is_found(campaign: Database, target: Database, tmp_path: Path) -> None:
    campaign.execute("CREATE SCHEMA hidden; CREATE TABLE hidden.t (id int)")
    options = Options(backup_directory=tmp_path, postgresql_bin=installations()[18])
    [refused] = _of_the_backup(examine(Window(campaign, target).database, options).findings)
    assert refused.id == "source.backup.definitions"
    assert "permission denied for schema hidden" in refused.what


def test_the_drill_is_looked_at_where_it_is(
    campaign: Database, target: Database, tmp_path: Path, cluster: Cluster
) -> None:
    campaign.execute("CREATE EXTENSION vector; ALTER TABLE public.chapters ADD v vector(2)")
    target.execute("CREATE EXTENSION vector; ALTER ROLE consolidation NOCREATEDB")
    window, tools = Window(campaign, target), installations()[18]
    here = Options(backup_directory=tmp_path, postgresql_bin=tools)
    there = replace(here, drill=target.as_role("postgres"))

    def found(options: Options) -> set[str]:
        wanted = ("source.backup.", "target.role.cannot_create_database")
        return {each.id for each in examine(window.database, options).findings if each.id.startswith(wanted)}

    assert found(here) == {"source.backup.extension", "target.role.cannot_create_database"}
    assert found(there) == set()
    [refused] = [
        each
        for each in examine(window.database, replace(here, drill=target.settings)).findings
        if each.id == "runner.check.failed"
    ]
    assert "may not create the scratch database of the restore drill" in refused.what


def test_a_command_without_a_backup_is_told_what_that_means(
    campaign: Database, target: Database, tmp_path: Path
) -> None:
    window, tools = Window(campaign, target), installations()[18]

    def found(backup: bool) -> list[str]:
        options = Options(backup_directory=tmp_path, postgresql_bin=tools, backup=backup)
        return [each.id for each in examine(window.database, options).findings if each.id == "run.no_backup"]

    assert (found(True), found(False)) == ([], ["run.no_backup"])
    window.begin()
    window.schema()
    assert (found(True), found(False)) == ([], ["run.no_backup"])
    window.fence("source", "closed")
    assert (found(True), found(False)) == (["run.no_backup"], ["run.no_backup"])
    window.target.execute(
        "INSERT INTO consolidation.phase (run_id, database, name, state)"
        " SELECT run_id, database, 'backup', 'done' FROM consolidation.run_database"
    )
    assert (found(True), found(False)) == ([], [])
