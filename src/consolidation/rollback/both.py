"""Both sides compared for a resolution, and what the operator reads of it: figures and names, no row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg2
from alembic.script import ScriptDirectory
from psycopg2 import sql

from consolidation.compare.buckets import Pair, pair
from consolidation.copy import loads
from consolidation.errors import StepRefused, VerificationFailed
from consolidation.journal import records
from consolidation.lineage import alembic as lineage
from consolidation.lineage.models import lineages
from consolidation.model import SOURCE, TARGET, Database
from consolidation.postgres.catalog import read_tables
from consolidation.postgres.connection import session
from consolidation.postgres.queries import execute
from consolidation.postgres.snapshot import frozen
from consolidation.rollback import reconcile
from consolidation.rollback.abandon import SERVICES
from consolidation.rollback.counterparts import behind
from consolidation.rollback.exchange import Change
from consolidation.rollback.refused import json_refused, refusing
from consolidation.text import count


@dataclass(frozen=True)
class Comparison:
    """What one side has and the other has not."""

    changes: tuple[Change, ...] = ()
    """Towards the target: what is inserted only the source has, what is deleted only the target."""
    pairs: tuple[Pair, ...] = ()
    missing: tuple[str, ...] = ()
    """Tables that the target lacks."""
    alone: tuple[str, ...] = ()
    """Tables that only the target has, and that hold rows."""

    @property
    def equal(self) -> bool:
        """Whether no row is on one side only."""
        return not (self.changes or self.missing or self.alone)

    def towards(self, side: str) -> tuple[Change, ...]:
        """What would make that side equal to the other."""
        if side == TARGET:
            return self.changes
        return tuple(replace(each, to=side, inserted=each.deleted, deleted=each.inserted) for each in self.changes)

    def __str__(self) -> str:
        lines = [
            f"{each.pair.source.name}: {count(each.inserted)} rows only on the source, {count(each.deleted)} only on"
            f" the target, {count(each.updated)} with different content"
            for each in self.changes
        ]
        lines += [f"{name}: the target has no such table" for name in self.missing]
        lines += [f"{name}: only the target has it, and it holds rows" for name in self.alone]
        return "; ".join(lines)


def compare(database: Database, workers: int) -> Comparison:
    """All tables by content, as they are now. Raises VerificationFailed where that cannot be done."""
    with (
        frozen(database.source, "resolve", workers) as source,
        frozen(database.target, "resolve", workers) as target,
    ):
        ours = {table.name: table for table in read_tables(source.coordinator, database.source_schema, database.tables)}
        there = {table.name: table for table in read_tables(target.coordinator, database.name)}
        if unknown := sorted(set(database.tables) - ours.keys()):
            raise VerificationFailed(
                f"{database.name}: the source has no table {', '.join(unknown)}",
                hint="nothing was changed; correct tables of consolidation_database, then run again",
            )
        both = sorted(ours.keys() & there.keys(), key=lambda name: -ours[name].table_bytes)
        pairs = [pair(ours[name], there[name]) for name in both]
        alone = [there[name] for name in sorted(there.keys() - ours.keys())]
        try:
            changes = reconcile.differences(source, target, pairs, TARGET)
        except psycopg2.DataError as error:
            if found := json_refused(database, SOURCE, pairs):
                raise refusing(database, SOURCE, found, "change these rows on the target, then run again") from error
            raise
        filled = loads.filled(target.coordinator, alone) if alone else set()
    return Comparison(changes, tuple(pairs), tuple(sorted(ours.keys() - there.keys())), tuple(sorted(filled)))


def advance_sequences(database: Database, pairs: Sequence[Pair], sides: Sequence[str]) -> None:
    """No number that the other side has handed out is handed out again."""
    with session(database.source, "resolve") as source, session(database.target, "resolve") as target:
        for side, conn in ((SOURCE, source), (TARGET, target)):
            if side not in sides:
                continue
            for ours, theirs in behind(database, source, target, side, list(pairs)):
                name = sql.Identifier(theirs.schema, theirs.name).as_string(conn)
                execute(conn, "SELECT setval(%s::regclass, %s, %s)", [name, ours.last_value, ours.is_called])


def stamp(database: Database) -> None:
    """Note the lineage's head again where it was lost with the journal, if the tables are what its models say."""
    scripts = ScriptDirectory.from_config(lineage.configuration())
    if database.name not in lineages() or any(
        database.name in revision.branch_labels for revision in lineage.applied_revisions(database.target, scripts)
    ):
        return
    with session(database.target, "resolve") as target:
        if not read_tables(target, database.name):
            return
    with lineage.alembic_session(database.target) as (_, conn):
        if not lineage.differences(conn, database.name):
            lineage.stamp(conn, database.name, "head")
            conn.commit()


def sentence(database: Database, keep: str) -> str:
    """What the operator types to say whose rows stay."""
    other = TARGET if keep == SOURCE else SOURCE
    return f"keep the rows of the {keep} of {database.name} and give up what only its {other} has"


def option(database: Database, keep: str) -> str:
    """The same as an option of the command; as JSON, for Ansible splits other values at their spaces."""
    return f"-e {shlex.quote(json.dumps({'resolve_keep': sentence(database, keep)}))}"


def refusal(database: Database, conflict: str, found: Comparison) -> StepRefused:
    """Both sides differ, and no one has said whose rows stay."""
    choices = [f"{option(database, SOURCE)} keeps the source's rows"]
    if not found.missing:
        choices.append(f"{option(database, TARGET)} keeps the target's rows")
    return StepRefused(
        f"{conflict}. They differ: {found}",
        hint="no row was changed; have the owner of the rows decide, then run the same command with --limit"
        f" {database.name}: {', or '.join(choices)}. What the other side has is kept in files beside the backup",
        facts={
            "sentences": {side: sentence(database, side) for side in (SOURCE, TARGET)},
            "differences": [each.as_result() for each in found.changes],
        },
    )


def done(database: Database, keep: str, state: str, kept_in: Sequence[str]) -> str:
    """What is so now, and what is left to do."""
    if keep == TARGET:
        now = "the target is authoritative and takes writes, the source is closed"
        following = (
            "ansible-playbook migrate.yml finishes the cutover"
            if state == records.MIGRATING
            else "rollback.yml is available; a service that was repointed to the source by hand is to be put on the"
            " storage database again"
        )
    elif state == records.MIGRATING:
        now, following = "the target is closed again", "ansible-playbook migrate.yml goes on with the run"
    elif state == records.ROLLED_BACK:
        now, following = "the source is authoritative and takes writes, the target is closed", SERVICES
    else:
        now = "the source is authoritative, the target is closed"
        following = "ansible-playbook rollback.yml finishes the rollback of the run"
    rows = f". Rows that were given up: {', '.join(kept_in)}" if kept_in else ""
    return f"{database.name}: {now}; {following}{rows}"
