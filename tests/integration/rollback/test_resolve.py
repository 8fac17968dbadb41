"""Both sides are not as the run says: every command stops before it changes anything, and one command resolves it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from consolidation.errors import ConsolidationError, StepRefused
from consolidation.fence import sides, trigger
from consolidation.journal import records, runs
from consolidation.journal.decisions import Standing
from consolidation.model import SOURCE, TARGET
from consolidation.postgres.connection import session
from consolidation.rollback import both, kept, reconcile, resolve
from consolidation.verify import phase as verify
from tests.cluster import Cluster, Database, digest_of_everything, digest_of_files
from tests.modules import run_module
from tests.window import Window

WRITE = (
    "INSERT INTO {}campaigns (id, name, creator_id, owner_id)"
    " VALUES (gen_random_uuid(), '{}', gen_random_uuid(), gen_random_uuid())"
)
WRITERS = {SOURCE: "campaign_app", TARGET: "storage_service"}


class Night(Window):
    """A window, and what may happen to it."""

    backups: Path
    cluster: Cluster

    def write(self, side: str, name: str) -> None:
        database = self.source if side == SOURCE else self.target
        schema = "" if side == SOURCE else "campaign_db."
        database.execute(WRITE.format(schema, name), user=WRITERS[side])

    def takes_writes(self) -> set[str]:
        found = set()
        for side in (SOURCE, TARGET):
            try:
                self.write(side, "probe")
            except psycopg2.errors.ReadOnlySqlTransaction:
                continue
            database, schema = (self.source, "") if side == SOURCE else (self.target, "campaign_db.")
            database.execute(f"DELETE FROM {schema}campaigns WHERE name = 'probe'", user=WRITERS[side])
            found.add(side)
        return found

    def names(self, side: str) -> set[str]:
        schema = "" if side == SOURCE else "campaign_db."
        database = self.source if side == SOURCE else self.target
        return {name for (name,) in database.rows(f"SELECT name FROM {schema}campaigns WHERE name LIKE 'on %'")}

    def verified(self) -> None:
        """From the beginning, where nothing was done yet."""
        self.cluster.prepared("verified", (self.source, self.target), self.prove_equal)

    def migrated(self) -> None:
        """The same."""
        self.cluster.prepared("migrated", (self.source, self.target), self.migrate)

    def rolled_back(self) -> None:
        self.begin(records.ROLLING_BACK)
        self.fence("target", "closed", "rollback_fence")
        reconcile.apply(reconcile.plan(self.database, "source"))
        if self.fenced(SOURCE):
            self.fence("source", "open", "rollback_open")
        self.end(records.ROLLED_BACK)

    def fenced(self, side: str) -> bool:
        return bool(reconcile.fences(self.database)[side])

    def lose_journal(self) -> None:
        self.target.execute("DROP SCHEMA consolidation CASCADE")

    def conflict(self) -> str:
        return sides.check(self.database)[2]

    def sentence(self, keep: str) -> str:
        return both.sentence(self.database, keep) if keep else ""

    def plan(self, keep: str = "") -> resolve.Plan:
        return resolve.plan(self.database, self.sentence(keep), self.backups)

    def resolve(self, keep: str = "") -> dict[str, Any]:
        return resolve.apply(self.plan(keep), runs.Caller(self.control, None, ""), 10)

    def standing(self) -> Standing:
        return self.state().standing

    def given_up(self) -> set[str]:
        """Names of the campaigns in the files."""
        found: set[str] = set()
        for path in self.backups.rglob("campaigns.csv"):
            assert path.stat().st_mode & 0o777 == 0o600
            with path.open(encoding="utf-8", newline="") as file:
                found |= {row["name"] for row in csv.DictReader(file)}
        return found


@pytest.fixture
def night(cluster: Cluster, campaign: Database, target: Database, tmp_path: Path) -> Night:
    night = Night(campaign, target)
    night.cluster = cluster
    night.backups = tmp_path / "backups"
    return night


def journal_lost(night: Night) -> None:
    night.migrated()
    night.write(TARGET, "on target")
    night.lose_journal()


def journal_lost_and_source_opened(night: Night) -> None:
    night.migrated()
    night.write(TARGET, "on target")
    night.lose_journal()
    night.lift()
    night.write(SOURCE, "on source")


def both_open(night: Night) -> None:
    night.migrated()
    night.write(TARGET, "on target")
    night.lift()
    night.write(SOURCE, "on source")


def was_open(night: Night) -> None:
    both_open(night)
    with session(night.database.source, "test") as conn:
        trigger.close_side(conn, night.database.source_side, 10)


def cutover_unfinished(night: Night) -> None:
    night.verified()
    night.cutover()
    night.write(TARGET, "on target")
    night.lift()
    night.write(SOURCE, "on source")


def rollback_begun(night: Night) -> None:
    """The rollback has closed the target; then the source was opened by hand."""
    night.migrated()
    night.write(TARGET, "on target")
    night.begin(records.ROLLING_BACK)
    night.fence("target", "closed", "rollback_fence")
    night.lift()
    night.write(SOURCE, "on source")


def restored_rolled_back(night: Night) -> None:
    """The journal is of a base backup: a later run has fenced the source, and both refuse every write."""
    night.migrated()
    night.rolled_back()
    night.write(SOURCE, "on source")
    with session(night.database.source, "test") as conn:
        trigger.close_side(conn, night.database.source_side, 10)


def restored_migrated(night: Night) -> None:
    """The storage database is of a base backup: the run that it has as migrated was rolled back since."""
    night.migrated()
    night.write(TARGET, "on target")
    night.lift()  # as the rollback has done, which this journal does not know
    night.write(SOURCE, "on source")


def opened_by_hand_after_the_rollback(night: Night) -> None:
    night.migrated()
    night.rolled_back()
    night.lift(TARGET)
    night.write(TARGET, "on target")
    night.write(SOURCE, "on source")


def opened_by_hand_in_the_window(night: Night) -> None:
    night.verified()
    night.lift(TARGET)
    night.write(TARGET, "on target")


NIGHTS = [
    journal_lost,
    journal_lost_and_source_opened,
    both_open,
    was_open,
    cutover_unfinished,
    rollback_begun,
    restored_rolled_back,
    opened_by_hand_after_the_rollback,
    opened_by_hand_in_the_window,
]


@pytest.mark.parametrize("happened", NIGHTS, ids=lambda happened: happened.__name__)
@pytest.mark.parametrize("keep", [SOURCE, TARGET])
def test_nobody_is_overwritten_until_the_owner_has_said_whose_rows_stay(
    night: Night, happened: Callable[[Night], None], keep: str
) -> None:
    happened(night)
    ours, theirs = night.names(SOURCE), night.names(TARGET)
    writers = night.takes_writes()
    before = digest_of_everything(night.source.server), digest_of_everything(night.target.server)
    with pytest.raises(StepRefused, match="right now") as refused:
        sides.require_no_conflict(night.database)
    assert "playbooks/resolve.yml" in refused.value.hint
    with pytest.raises(StepRefused, match="They differ: campaigns: ") as refused:
        night.resolve()
    assert night.sentence(keep) in refused.value.hint
    assert "on source" not in str(refused.value)
    assert "on target" not in str(refused.value)
    assert (digest_of_everything(night.source.server), digest_of_everything(night.target.server)) == before

    night.resolve(keep)
    other = TARGET if keep == SOURCE else SOURCE
    assert night.conflict() == ""
    assert night.takes_writes() == {keep}, writers
    assert night.names(keep) == (ours if keep == SOURCE else theirs)
    assert night.given_up() & {"on source", "on target"} == (theirs - ours if keep == SOURCE else ours - theirs)
    assert night.fenced(other)
    if keep == TARGET:
        assert night.names(SOURCE) == theirs
        if night.standing() == Standing.OPENED:
            night.end(records.MIGRATED)
        assert night.standing() == Standing.MIGRATED
        night.write(TARGET, "on target, later")
        night.rolled_back()
        assert night.names(SOURCE) == theirs | {"on target, later"}
    else:
        assert night.standing() in {Standing.ROLLED_BACK, Standing.RECONCILED, Standing.ROLLING_BACK}
    assert night.conflict() == ""
    assert night.resolve()["msg"].startswith("campaign_db: nothing to resolve")


@pytest.mark.parametrize(
    ("happened", "stays"),
    [
        (lambda night: (night.migrated(), night.lose_journal()), TARGET),
        (lambda night: (night.migrated(), night.lift()), TARGET),
        (lambda night: (night.verified(), night.cutover(), night.lift()), TARGET),
        (lambda night: (night.migrated(), night.rolled_back(), close(night, SOURCE)), SOURCE),
        (lambda night: (night.migrated(), close(night, TARGET)), TARGET),
        (lambda night: (night.migrated(), close(night, TARGET), night.lift()), SOURCE),
        (lambda night: (night.migrated(), night.rolled_back(), night.lift(TARGET)), SOURCE),
    ],
    ids=[
        "journal lost",
        "both open",
        "cutover unfinished, both open",
        "rolled back, both closed",
        "migrated, both closed",
        "migrated, open the other way round",
        "rolled back, both open",
    ],
)
def test_equal_sides_lead_on_without_a_word(night: Night, happened: Callable[[Night], Any], stays: str) -> None:
    happened(night)
    assert night.conflict()
    night.resolve()
    assert night.conflict() == ""
    assert night.takes_writes() == {stays}
    assert not list(night.backups.rglob("*.csv"))


def close(night: Night, name: str) -> None:
    side = night.database.side(name)
    with session(side.settings, "test") as conn:
        trigger.close_side(conn, side, 10)


def test_a_target_opened_in_the_window_is_closed_and_the_run_goes_on(night: Night) -> None:
    night.verified()
    night.lift(TARGET)
    assert night.conflict()
    night.resolve()
    assert (night.conflict(), night.standing(), night.takes_writes()) == ("", Standing.MIGRATING, set())
    with pytest.raises(StepRefused, match="not of this copy"):
        night.cutover()
    verify.apply(verify.plan(night.database), verify.Options())
    night.cutover()


def test_after_the_journal_was_lost_and_the_source_kept_the_next_run_migrates_it(night: Night) -> None:
    journal_lost(night)
    night.resolve(SOURCE)
    assert night.standing() == Standing.ROLLED_BACK
    night.write(SOURCE, "on source")
    night.migrate()
    assert night.names(TARGET) == {"on source"}


def test_a_storage_database_without_its_tables_needs_the_word_too(night: Night) -> None:
    """Created again, or the wrong one: that it is empty does not say that no rows are elsewhere."""
    night.migrated()
    night.target.execute("DROP SCHEMA consolidation CASCADE; DROP SCHEMA campaign_db CASCADE")
    with pytest.raises(StepRefused, match="the target has no such table") as refused:
        night.resolve()
    assert night.sentence(TARGET) not in refused.value.hint
    with pytest.raises(StepRefused, match="the target lacks"):
        night.plan(TARGET)
    night.resolve(SOURCE)
    assert night.conflict() == ""
    night.write(SOURCE, "on source")


STEPS = [
    (runs, "enter"),
    (trigger, "close_side"),
    (kept, "keep"),
    (reconcile, "carry_out"),
    (both, "advance_sequences"),
    (records, "note"),
    (runs, "finish"),
    (trigger, "open_side"),
    (both, "stamp"),
]


@pytest.mark.parametrize(
    "happened",
    [journal_lost_and_source_opened, both_open, rollback_begun, restored_rolled_back],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("keep", [SOURCE, TARGET])
def test_cut_off_anywhere_the_same_command_leads_to_the_same_end(
    night: Night, monkeypatch: pytest.MonkeyPatch, happened: Callable[[Night], None], keep: str
) -> None:
    happened(night)
    kept_names = night.names(keep)
    given_up = night.names(TARGET if keep == SOURCE else SOURCE) - kept_names
    for module, name in STEPS:
        for late in (False, True):
            whole = getattr(module, name)

            def killed(*given: Any, _whole: Any = whole, _late: bool = late, **named: Any) -> None:
                if _late:
                    _whole(*given, **named)
                raise KeyboardInterrupt

            monkeypatch.setattr(module, name, killed)
            try:
                night.resolve(keep)
            except KeyboardInterrupt:
                assert night.conflict()
            monkeypatch.undo()
    night.resolve(keep)
    assert night.conflict() == ""
    assert night.takes_writes() == {keep}
    assert night.names(keep) == kept_names
    assert night.given_up() >= given_up


def test_an_attempt_that_fails_leaves_no_outage(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    both_open(night)
    night.source.execute("ALTER TABLE campaigns ADD CHECK (name <> 'on target')", role="campaign_owner")
    with pytest.raises(StepRefused, match="the source does not take rows of the other side") as refused:
        night.resolve(TARGET)
    assert "on target" not in str(refused.value).replace("campaigns_name_check", "")
    assert night.takes_writes() == {SOURCE, TARGET}
    assert night.conflict()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reconcile, "carry_out", killed)
    with pytest.raises(KeyboardInterrupt):
        night.resolve(TARGET)
    monkeypatch.undo()
    assert night.takes_writes() == set()
    with pytest.raises(ConsolidationError):  # no word any more: it must not stay closed for that
        night.resolve()
    assert night.takes_writes() == {SOURCE, TARGET}
    night.resolve(SOURCE)
    assert night.takes_writes() == {SOURCE}


def test_writes_between_the_two_comparisons_are_not_lost(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.migrated()
    night.lift()
    planned = night.plan()
    assert planned.keep == TARGET
    night.write(SOURCE, "on source")
    with pytest.raises(StepRefused, match="They differ"):
        resolve.apply(planned, runs.Caller(night.control, None, ""), 10)
    assert night.takes_writes() == {SOURCE, TARGET}
    assert night.names(SOURCE) == {"on source"}


def test_the_run_as_it_should_be_is_no_conflict(night: Night) -> None:
    def fits() -> None:
        assert night.conflict() == ""

    night.begin()
    fits()
    night.schema()
    fits()
    night.fence("source", "closed")
    fits()
    night.copy()
    verify.apply(verify.plan(night.database), verify.Options())
    fits()
    night.cutover()
    fits()
    night.end(records.MIGRATED)
    night.write(TARGET, "on target")
    fits()
    night.begin(records.ROLLING_BACK)
    fits()
    night.fence("target", "closed", "rollback_fence")
    fits()
    reconcile.apply(reconcile.plan(night.database, "source"))
    fits()
    night.fence("source", "open", "rollback_open")
    night.write(SOURCE, "on source")
    fits()
    night.end(records.ROLLED_BACK)
    fits()
    night.begin()
    fits()


def test_the_modules_say_what_they_would_do(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    night.migrated()
    looked = run_module(capsys, "pg_sides_info", False, {"database": night.options})
    assert looked["writers"] == "right now the target takes writes, the source does not"
    night.write(TARGET, "on target")
    night.lift()
    assert run_module(capsys, "pg_sides_info", False, {"database": night.options})["failed"]
    given = {
        "database": night.options,
        "control": night.control,
        "backup_directory": str(night.backups),
    }
    before = digest_of_everything(night.source.server), digest_of_everything(night.target.server)
    planned = run_module(capsys, "pg_resolve", True, given)
    assert not planned["changed"]
    assert night.sentence(TARGET) in planned["msg"]
    assert run_module(capsys, "pg_resolve", False, {**given, "keep": "yes"})["failed"]
    given["keep"] = night.sentence(SOURCE)
    planned = run_module(capsys, "pg_resolve", True, given)
    assert planned["changed"]
    assert "keep 1 rows of campaign_db.campaigns in a file" in planned["diff"]["prepared"]
    assert (digest_of_everything(night.source.server), digest_of_everything(night.target.server)) == before
    assert not night.backups.exists() or not digest_of_files(night.backups)
    done = run_module(capsys, "pg_resolve", False, given)
    assert (done["changed"], done["state"]) == (True, "rolling_back")
    assert not run_module(capsys, "pg_resolve", False, given)["changed"]
