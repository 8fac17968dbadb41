"""Days later: the source is archived, retired and dropped, each by its own sentence and only when nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from consolidation.backup import phase as backup
from consolidation.errors import BackupError, StepRefused
from consolidation.finalize import phase as finalize
from consolidation.journal import records
from consolidation.journal.results import Phase
from tests import backups
from tests.cluster import Cluster, Database, digest_of_everything
from tests.integration.journal.test_every_stop import MIGRATE, ROLLBACK, WRITE, kill, play, reaching
from tests.modules import run_module
from tests.window import Window


class Killed(BaseException):
    """What a SIGKILL is for the code that follows."""


@pytest.fixture
def window(cluster: Cluster, campaign: Database, target: Database) -> Window:
    return reaching(cluster, campaign, target)("proof")


@pytest.fixture
def options(tmp_path: Path) -> finalize.Options:
    return finalize.Options(tmp_path / "dumps", backups.tools(), None, "postgres", 10)


def planned(window: Window, options: finalize.Options, consent: str = "") -> finalize.Plan:
    return finalize.plan(window.database, options, consent)


def go(window: Window, options: finalize.Options, step: str) -> dict[str, Any]:
    """Plan and apply with the sentence of a step."""
    run = window.state().run
    assert run is not None
    return finalize.apply(planned(window, options, finalize.sentence(step, window.name, run.id)))


def databases(window: Window) -> dict[str, bool]:
    """Name -> whether it takes connections."""
    found = window.source.in_database("postgres").rows(
        "SELECT datname, datallowconn FROM pg_database WHERE oid > 16384 AND NOT datistemplate"
    )
    return dict(found)


def retired(window: Window) -> str:
    run = window.state().run
    assert run is not None
    return f"campaign_retired_{run.id.lower()}"


def ours_on_target(window: Window) -> int:
    """Triggers and functions of the runbook in the storage database."""
    return int(
        window.target.value(
            "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname ~ 'consolidation')"
            " + (SELECT count(*) FROM pg_proc WHERE pronamespace = to_regnamespace('consolidation'))"
        )
    )


def by_hand(window: Window, statement: str) -> None:
    """As a superuser, outside of a transaction."""
    with window.source.in_database("postgres").connection() as conn:
        conn.autocommit = True
        conn.cursor().execute(statement)


def is_retired(window: Window) -> None:
    assert databases(window) == {retired(window): False}
    assert ours_on_target(window) == 0
    assert window.state().standing == "finalized"
    window.target.execute(WRITE.format("campaign_db"), user="storage_service")


@pytest.mark.every_pair
def test_archived_retired_and_dropped(window: Window, options: finalize.Options) -> None:
    servers = (window.source.server, window.target.server)
    before = [digest_of_everything(server) for server in servers]
    plan = planned(window, options)
    assert plan.changed
    for consent in ("", "yes", finalize.sentence("drop", window.name, "x")):
        with pytest.raises(StepRefused) as caught:
            finalize.apply(planned(window, options, consent))
        assert plan.sentence in caught.value.hint
    assert "ALLOW_CONNECTIONS false" in plan.diff()["prepared"]
    assert [digest_of_everything(server) for server in servers] == before
    assert not options.directory.exists()

    rows = window.source.value("SELECT count(*) FROM campaigns")
    result = go(window, options, "retire")
    assert result["pending"] == []
    is_retired(window)
    archive = window.phases()["finalize_archive"].result
    assert {table["name"]: table["rows"] for table in archive["tables"]}["campaigns"] == rows
    assert Path(archive["directory"]).name == "campaign_db.last"
    with pytest.raises(psycopg2.OperationalError):
        window.source.execute("SELECT 1")
    assert not planned(window, options).changed
    assert go(window, options, "retire")["msg"].startswith("campaign_db is finalized")
    assert databases(window) == {retired(window): False}

    go(window, options, "drop")
    assert databases(window) == {}
    again = planned(window, options)
    assert (again.step, again.changed) == (finalize.NOTHING, False)
    assert window.phases()["finalize_drop"].state == "done"


def cut_off_at(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """The step is done, and the process dies."""
    real: Callable[..., Any] = getattr(finalize, place)

    def step(*arguments: Any) -> None:
        real(*arguments)
        raise Killed

    monkeypatch.setattr(finalize, place, step)


@pytest.mark.parametrize("place", ["_clear_target", "_clear_source", "_retire_remains"])
def test_killed_after_any_step_the_same_command_ends_it(
    window: Window, options: finalize.Options, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with monkeypatch.context() as patched:
        cut_off_at(patched, place)
        with pytest.raises(Killed):
            go(window, options, "retire")
    kill(window, Phase.FINALIZE)
    with pytest.raises(StepRefused, match="is finalized"):
        window.begin(records.ROLLING_BACK)
    go(window, options, "retire")
    is_retired(window)
    with monkeypatch.context() as patched:
        cut_off_at(patched, "_drop_remains")
        with pytest.raises(Killed):
            go(window, options, "drop")
    kill(window, Phase.FINALIZE_DROP)
    go(window, options, "drop")
    assert databases(window) == {}
    assert not planned(window, options).changed
    assert window.phases()["finalize_drop"].state == "done"


def test_killed_after_the_archive_it_is_kept_and_rollback_is_available(
    window: Window, options: finalize.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(finalize, "recorded", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            go(window, options, "retire")
    assert window.state().standing == "migrated"
    made = window.phases()["finalize_archive"]
    assert not backup.plan(window.database, options.directory, options.tools, phase=Phase.FINALIZE_ARCHIVE).changed
    (Path(made.result["directory"]) / "manifest.json").write_text("{}")  # damaged: another one is made
    go(window, options, "retire")
    assert window.phases()["finalize_archive"].attempts == 2
    is_retired(window)


def test_refuses_what_was_not_migrated_or_is_not_proved(
    campaign: Database, target: Database, options: finalize.Options
) -> None:
    window = Window(campaign, target)
    with pytest.raises(StepRefused, match="no run has migrated it"):
        planned(window, options)
    play(window, MIGRATE, "cutover")
    with pytest.raises(StepRefused, match="no run has migrated it"):
        planned(window, options)
    window.end(records.MIGRATED)
    planned(window, options)
    target.execute(
        "UPDATE consolidation.phase SET result = result || '{\"outcome\": \"different\"}' WHERE name = 'verify'"
    )
    with pytest.raises(StepRefused, match="verification is not of the source"):
        planned(window, options)


def test_refuses_while_the_fence_was_broken_or_somebody_uses_the_source(
    window: Window, options: finalize.Options
) -> None:
    with (
        window.source.connection("consolidation_reader") as conn,
        conn.cursor() as cursor,
    ):
        cursor.execute("SELECT 1")
        with pytest.raises(StepRefused, match=r"1 sessions use the source: pid .* user consolidation_reader"):
            planned(window, options)
    window.lift()
    with pytest.raises(StepRefused, match="fence is not as the run has closed it"):
        planned(window, options)
    window.shut("source")
    with pytest.raises(StepRefused, match="fence is not as the run has closed it"):
        planned(window, options)


def test_somebody_connects_at_the_last_moment(
    window: Window, options: finalize.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL refuses the rename; the database takes connections again, and the same command goes on."""
    real = finalize._clear_source
    late = []

    def connected(*arguments: Any) -> None:
        real(*arguments)
        late.append(psycopg2.connect(**window.source.as_role("consolidation_reader").keywords()))

    with monkeypatch.context() as patched:
        patched.setattr(finalize, "_clear_source", connected)
        with pytest.raises(StepRefused, match=r"sessions use the source: pid .* user consolidation_reader"):
            go(window, options, "retire")
    assert databases(window) == {"campaign": True}
    late[0].close()
    go(window, options, "retire")
    is_retired(window)


def test_rollback_and_migrate_afterwards(window: Window, options: finalize.Options) -> None:
    go(window, options, "retire")
    with pytest.raises(StepRefused, match="is finalized: the source is retired") as caught:
        play(window, ROLLBACK, "begin")
    assert "last dump" in caught.value.hint
    begun = window.begin()
    assert (begun["finalized"], begun["authoritative"]) == (True, "target")
    for side, wanted in (("source", "prepared"), ("source", "closed")):
        plan_of_fence = "fence_prepare" if wanted == "prepared" else "fence"
        assert "is finalized" in window.fence(side, wanted, plan_of_fence)["msg"]
    assert "is finalized" in backup.plan(window.database, options.directory, options.tools).skip_reason


def test_what_the_role_may_not_do_a_superuser_does(window: Window, options: finalize.Options) -> None:
    window.source.in_database("postgres").execute("ALTER DATABASE campaign OWNER TO postgres")
    result = go(window, options, "retire")
    assert [each.split()[0:3] for each in result["pending"]] == [["ALTER", "DATABASE", '"campaign"']] * 2
    assert databases(window) == {"campaign": True}
    with pytest.raises(StepRefused, match="may not do what is left"):
        go(window, options, "drop")
    assert all(each in planned(window, options).msg for each in result["pending"])
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):  # it stays behind its fence
        window.source.execute("DELETE FROM campaigns", user="campaign_app")
    for statement in result["pending"]:
        window.source.in_database("postgres").execute(statement)
    is_retired(window)
    assert "takes no connections" in planned(window, options).msg
    with pytest.raises(StepRefused) as caught:
        go(window, options, "drop")
    assert f'DROP DATABASE "{retired(window)}"' in caught.value.hint
    by_hand(window, f'DROP DATABASE "{retired(window)}"')
    assert planned(window, options).step == finalize.NOTHING


def test_an_owner_who_may_not_create_databases_closes_it_and_rename_is_left(
    window: Window, options: finalize.Options
) -> None:
    window.source.in_database("postgres").execute("ALTER ROLE consolidation NOCREATEDB")
    options = finalize.Options(options.directory, options.tools, window.target.settings, "postgres", 10)
    result = go(window, options, "retire")
    assert len(result["pending"]) == 1
    assert databases(window) == {"campaign": False}
    window.source.in_database("postgres").execute("ALTER ROLE consolidation CREATEDB")
    assert planned(window, options).step == finalize.RETIRE  # it may now, so the same command does it
    go(window, options, "retire")
    is_retired(window)


def test_another_database_of_the_same_name_is_never_touched(window: Window, options: finalize.Options) -> None:
    go(window, options, "retire")
    by_hand(window, "CREATE DATABASE campaign OWNER campaign_owner")
    go(window, options, "drop")
    assert databases(window) == {"campaign": True}


def test_the_drop_wants_the_last_dump_intact(window: Window, options: finalize.Options) -> None:
    result = go(window, options, "retire")
    (Path(result["archive"]["directory"]) / "globals.sql").unlink()
    with pytest.raises(BackupError, match=r"globals\.sql is missing"):
        go(window, options, "drop")
    assert databases(window) == {retired(window): False}


@pytest.mark.parametrize("opened", [False, True])
def test_a_database_that_others_use_keeps_its_name_and_loses_only_our_tables(
    campaign: Database, target: Database, options: finalize.Options, opened: bool
) -> None:
    campaign.execute("CREATE SCHEMA billing AUTHORIZATION campaign_owner")
    campaign.execute("CREATE TABLE billing.invoices (id int)", role="campaign_owner")
    window = Window(campaign, target)
    play(window, MIGRATE)
    with campaign.connection("consolidation_reader") as conn:
        conn.cursor().execute("SELECT 1")  # of billing: no reason to refuse
        result = go(window, options, "retire")
    assert result["remains"]["kind"] == "tables"
    assert databases(window) == {"campaign": True}
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        campaign.execute("DELETE FROM campaigns", user="campaign_app")
    if opened:
        window.lift()
        with pytest.raises(StepRefused, match="opened or altered since"):
            go(window, options, "drop")
    else:
        go(window, options, "drop")
    assert campaign.value("SELECT to_regclass('public.campaigns') IS NOT NULL") == opened
    assert campaign.value("SELECT to_regclass('billing.invoices') IS NOT NULL")
    assert planned(window, options).step == ("drop" if opened else finalize.NOTHING)


def test_the_module_checks_before_it_changes(
    window: Window, options: finalize.Options, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "database": window.options,
        "run_id": window.begin()["run_id"],
        "backup_directory": str(options.directory),
        "postgresql_bin": str(options.tools),
    }
    looked = run_module(capsys, "pg_finalize", True, given)
    assert looked["changed"]
    assert looked["sentence"] in looked["msg"]
    assert run_module(capsys, "pg_finalize", False, given)["failed"]
    done = run_module(capsys, "pg_finalize", False, {**given, "consent": looked["sentence"]})
    assert done["changed"]
    is_retired(window)
    second = run_module(capsys, "pg_finalize", False, {**given, "consent": looked["sentence"]})
    assert not second["changed"]
    dropping = {**given, "consent": second["sentence"]}
    assert run_module(capsys, "pg_finalize", True, dropping)["changed"]
    assert databases(window) != {}
    assert run_module(capsys, "pg_finalize", False, dropping)["dropped"]
    assert not run_module(capsys, "pg_finalize", False, dropping)["changed"]
