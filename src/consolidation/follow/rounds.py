"""Rounds: what the origin has noted is brought to the destination as one snapshot of the origin has it.

Of every later snapshot S of the origin it holds that the rows in which S and the destination differ are among those
whose keys S sees in the log. A round at S makes the destination equal to S, compares what it brought, commits there,
and only then deletes from the log what S saw: cut off anywhere, the same keys are brought once more. There is no
position to keep and no order to respect.

The order within a round, each point with its reason:

1. The destination's lock, then the snapshot: a round that is overtaken would bring older rows over newer ones.
2. The marks as S sees them, and once more at the end as they are then: TRUNCATE and rewrites are not MVCC-safe, an
   older snapshot sees an empty table. A mark that changed meanwhile: the round is rolled back and done again.
3. Delete, insert, compare; foreign keys and triggers stand aside meanwhile.
4. The origin's commits that S saw are on its disk and its synchronous standbys before the destination commits: else a
   crash of an origin with synchronous_commit = off leaves a row on the destination that the origin has lost.
5. The log is emptied in the transaction of S, which sees exactly what was brought; when the destination's synchronous
   standbys have it, for a failover there must not lose what no key names any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.capture import state as capture
from consolidation.capture.memory import Memory
from consolidation.capture.state import ON, PREPARED, Captured
from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.follow import aside
from consolidation.follow.content import bring_whole
from consolidation.follow.rows import Brought, bound, bring
from consolidation.follow.way import Followed, Way, followed, require_captured
from consolidation.journal.records import LOCK_SPACE
from consolidation.model import Side
from consolidation.postgres.connection import session
from consolidation.postgres.durability import await_standbys
from consolidation.postgres.locks import lock_for_snapshot
from consolidation.postgres.queries import execute, value

ENTRIES_A_ROUND = 1_000_000
"""Of each log: what an interruption can cost, and how long a round holds the origin's snapshot."""
ALL = 0
"""Entries of a round that takes every log to its end."""
TRIES = 5
"""Of a round whose tables are rewritten at this very moment, before it is given up."""
VACUUM_ENTRIES = 50_000
"""Entries taken out of a log before it is vacuumed: autovacuum comes once a minute, and every round reads the log."""
STANDBY_SECONDS = 30.0
"""For the synchronous standbys of either side, where no budget leaves less."""
LOCK_TIMEOUT = "30s"
"""For the tables of either side, and for a round of another process."""

Step = Callable[[str], None]
During = Callable[[str, Mapping[str, Followed]], None]
"""What is done at a round's snapshot (its exported name, the tables) after the destination has it."""


@dataclass(frozen=True)
class Round:
    """What one round has done."""

    tables: Mapping[str, Brought]
    """Those that were touched."""
    seconds: float
    complete: bool
    """Whether it has brought all that its snapshot saw; False where a log had more than one round takes."""

    @property
    def idle(self) -> bool:
        """Whether there was nothing to bring."""
        return not self.tables

    @property
    def keys(self) -> int:
        """Noted keys brought over."""
        return sum(brought.keys for brought in self.tables.values())

    @property
    def rows(self) -> int:
        """Rows sent."""
        return sum(brought.inserted for brought in self.tables.values())

    def as_progress(self, at: str) -> Json:
        """For the journal, while the phase is under way."""
        return {
            "at": at,
            "seconds": round(self.seconds, 3),
            "keys": self.keys,
            "rows": self.rows,
            "whole": list(self.whole),
            "complete": self.complete,
        }

    @property
    def whole(self) -> tuple[str, ...]:
        """Tables that were brought over whole."""
        return tuple(name for name, brought in self.tables.items() if brought.whole)


@dataclass
class Follower:
    """The sessions of both sides. See ``following``."""

    way: Way
    memory: Memory
    origin: Connection
    """Reads a round's snapshot, and empties the logs in its transaction."""
    now: Connection
    """Autocommitting session of the origin: what is committed at this moment."""
    destination: Connection
    step: Step
    """Called with the name of what has just been done; for progress, and for tests that stop there."""
    taken: dict[str, int] = field(default_factory=dict)
    """Entries taken out of each log since it was last vacuumed."""
    standby_seconds: float = STANDBY_SECONDS

    def round(self, entries: int = ENTRIES_A_ROUND, during: During | None = None) -> Round:
        """Bring over what is noted. Raises StepRefused, VerificationFailed, Incomparable, psycopg2's errors.

        ``during``: see ``During``; then the round takes all entries. After an error nothing of it is kept.
        """
        rewritten: dict[str, Captured] = {}
        for _ in range(TRIES):
            try:
                done, found = self._try(entries, during, list(rewritten.values()))
            except (psycopg2.errors.UniqueViolation, psycopg2.errors.ExclusionViolation):
                if entries == ALL:
                    raise
                # A row of this part has taken the value of one whose key is in the next part: all at once, then.
                entries, done, found = ALL, None, {}
            finally:
                self.origin.rollback()
                self.destination.rollback()
            if done is not None:
                self._vacuum()
                return done
            rewritten.update(found)
        raise StepRefused(
            f"{self.way.database.name}: tables of the {self.way.origin.name} were truncated or rewritten during each"
            f" of {TRIES} rounds",
            hint="nothing is lost; find out by whom (pg_stat_activity), then run the same command again",
        )

    def waiting(self) -> dict[str, int]:
        """Table -> bytes of its log, of the tables whose log has entries now."""
        tables = [table for table in capture.read(self.now, self.way.origin) if table.state in (ON, PREPARED)]
        names = capture.with_entries(self.now, tables)
        return {table.name: table.log_bytes for table in tables if table.name in names}

    def limit(self, seconds: float) -> None:
        """Have a statement of either side fail when it takes longer, and its standbys; 0: no limit for statements."""
        self.standby_seconds = min(seconds or STANDBY_SECONDS, STANDBY_SECONDS)
        for conn in (self.origin, self.destination):
            execute(conn, "SELECT set_config('statement_timeout', %s, false)", [str(round(seconds * 1000))])
            conn.commit()

    def _try(
        self, entries: int, during: During | None, held: Sequence[Captured]
    ) -> tuple[Round | None, dict[str, Captured]]:
        """No round where tables were rewritten meanwhile; and these.

        ``held``: tables to lock against that, as one cannot be faster than those who do it all the time.
        """
        started = time.monotonic()
        lock = "SELECT pg_advisory_xact_lock(%s, hashtext('round ' || %s))"
        execute(self.destination, lock, [LOCK_SPACE, self.way.database.name])
        lock_for_snapshot(self.origin, held)
        exported = value(self.origin, "SELECT pg_export_snapshot()") if during else ""
        captured = capture.read(self.origin, self.way.origin)
        require_captured(self.way, captured)
        logged = capture.with_entries(self.origin, captured)
        remembered = self.memory.marks()
        whole = {table.name for table in captured if remembered.get(table.name) != table.mark}
        self.step("snapshot taken")
        if not (whole | logged) and during is None:
            return Round({}, time.monotonic() - started, complete=True), {}
        tables = followed(self.way, captured, self.origin, self.destination)
        whole |= {name for name in logged if not tables[name].by_key}
        touched = {name: tables[name] for name in sorted(whole | logged)}
        takes_all = during is not None or entries == ALL
        ends = {name: None if takes_all else bound(self.origin, tables[name], entries) for name in logged - whole}
        brought = self._bring(touched, whole, ends) if touched else {}
        if rewritten := self._rewritten(touched):
            return None, rewritten
        self._flush()
        self.step("before the destination's commit")
        self.destination.commit()
        self._confirm(self.destination, self.way.destination)
        self.step("after the destination's commit")
        seconds = time.monotonic() - started
        done = Round(brought, seconds, complete=not any(ends.values()))
        if touched:
            self.memory.remember({n: t.capture.mark for n, t in touched.items()}, done.keys, done.rows, seconds)
            self.step("remembered")
        if during is not None:
            during(exported, tables)
        self._forget_entries({name: (tables[name], ends.get(name)) for name in logged})
        return done, {}

    def _bring(
        self, tables: Mapping[str, Followed], whole: set[str], ends: Mapping[str, str | None]
    ) -> dict[str, Brought]:
        fence.pass_through(self.destination)
        stand_aside = aside.put(self.destination, [table.destination.oid for table in tables.values()])
        self.memory.remember_to_validate(aside.to_validate(stand_aside))
        brought = {}
        for name, table in tables.items():
            if name in whole:
                brought[name] = bring_whole(self.origin, self.destination, table)
            else:
                brought[name] = bring(self.origin, self.destination, table, ends[name])
            self.step(f"brought {name}")
        aside.back(self.destination, stand_aside)
        return brought

    def _rewritten(self, touched: Mapping[str, Followed]) -> dict[str, Captured]:
        marks = {table.name: table.mark for table in capture.read(self.now, self.way.origin)}
        return {name: table.capture for name, table in touched.items() if marks.get(name) != table.capture.mark}

    def _flush(self) -> None:
        """Have the origin's commits so far on its disk, whatever synchronous_commit they were made with."""
        execute(self.now, "SELECT pg_logical_emit_message(true, 'consolidation', '')")
        self._confirm(self.now, self.way.origin)

    def _confirm(self, conn: Connection, side: Side) -> None:
        """Have the side's synchronous standbys all that is committed there. Raises StatementFailed."""
        has_standbys = value(conn, "SHOW synchronous_standby_names")
        conn.rollback()
        if has_standbys:
            await_standbys(side.settings, self.standby_seconds)

    def _forget_entries(self, logs: Mapping[str, tuple[Followed, str | None]]) -> None:
        """Delete from the logs what the snapshot saw and the destination has."""
        counts = {}
        try:
            for name, (table, end) in logs.items():
                within = sql.SQL(" WHERE ctid < {}::tid").format(sql.Literal(end)) if end else sql.SQL("")
                counts[name] = execute(self.origin, sql.SQL("DELETE FROM {}{}").format(table.capture.log, within))
            self.step("before the log's commit")
            self.origin.commit()
        except psycopg2.errors.SerializationFailure:
            self.origin.rollback()  # a later round has brought and deleted them
            return
        self.step("after the log's commit")
        for name, count in counts.items():
            self.taken[name] = self.taken.get(name, 0) + count

    def _vacuum(self) -> None:
        large = {name for name, count in self.taken.items() if count >= VACUUM_ENTRIES}
        for table in capture.read(self.now, self.way.origin) if large else ():
            if table.name in large:
                # TRUNCATE false: giving pages back to the disk would make the writers wait.
                execute(self.now, sql.SQL("VACUUM (TRUNCATE false) {}").format(table.log))
                del self.taken[table.name]


@contextmanager
def following(way: Way, memory: Memory, step: Step = lambda _: None) -> Iterator[Follower]:
    """Sessions for rounds along a way; closed at the end, psycopg2's errors leave as StatementFailed."""
    with (
        session(way.origin.settings, "follow") as origin,
        session(way.origin.settings, "follow now", autocommit=True) as now,
        session(way.destination.settings, "follow") as destination,
    ):
        for conn in (origin, destination):
            execute(conn, "SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
            conn.commit()
        origin.set_session(isolation_level="REPEATABLE READ")
        yield Follower(way, memory, origin, now, destination, step)
