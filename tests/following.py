"""Online mode on test servers, without its playbooks: a captured side, rounds along a way, writers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg2
import psycopg2.errors

from consolidation.capture import state as capture
from consolidation.capture import trigger
from consolidation.capture.memory import Memory
from consolidation.follow.rounds import Follower, following
from consolidation.follow.way import Way
from consolidation.journal import records
from consolidation.model import Side
from consolidation.postgres.connection import session
from tests.cluster import Database
from tests.window import ALL_STATES, Window

NOTHING: Callable[[str], None] = lambda _: None  # noqa: E731 - a default


@dataclass
class Online:
    """A service database that is followed. Begin with `started`."""

    window: Window

    @property
    def source(self) -> Database:
        return self.window.source

    @property
    def target(self) -> Database:
        return self.window.target

    def way(self, to: str = "target") -> Way:
        return Way(self.window.database, to)

    def captured(self, side: Side | None = None) -> tuple[capture.Captured, ...]:
        chosen = side or self.window.database.source_side
        with session(chosen.settings, "test") as conn:
            return capture.read(conn, chosen)

    def capture(self, state: str = capture.ON, side: Side | None = None) -> tuple[capture.Captured, ...]:
        chosen = side or self.window.database.source_side
        with session(chosen.settings, "test") as conn:
            return trigger.install(conn, chosen, state, 10)

    @contextmanager
    def follower(self, to: str = "target", step: Callable[[str], None] = NOTHING) -> Iterator[Follower]:
        with session(self.target.settings, "test journal", autocommit=True) as journal:
            run = records.current_run(journal, self.window.name, *ALL_STATES)
            with following(self.way(to), Memory(journal, run, to), step) as follower:
                yield follower


def started(
    source: Database, target: Database, ddl: str, rows: str = "", *, name: str = "campaign_db", lineage: str = ""
) -> Online:
    """Tables with rows on the source, the same tables empty and closed on the target, and the source captured.

    ``lineage``: the target's tables where they are not the source's.
    """
    source.execute(f"SET search_path = public, pg_catalog; {ddl}{rows}", role="campaign_owner")
    window = Window(source, target, name)
    window.begin()
    window.own_schema(lineage or ddl)
    online = Online(window)
    online.capture()
    return online


@dataclass
class Writers:
    """Threads that write at random until the block ends; an error in one is raised at the end of it."""

    database: Database
    work: Callable[[psycopg2.extensions.connection, random.Random], None]
    number: int = 3
    user: str = "campaign_app"
    done: int = 0
    failures: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    EXPECTED = (
        psycopg2.errors.DeadlockDetected,
        psycopg2.errors.LockNotAvailable,
        psycopg2.errors.IntegrityError,
        psycopg2.errors.SerializationFailure,  # a row moved to another partition
        psycopg2.errors.ReadOnlySqlTransaction,
    )

    @contextmanager
    def writing(self, seed: int) -> Iterator[Writers]:
        threads = [threading.Thread(target=self._write, args=(seed + n,)) for n in range(self.number)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(30)
        assert not self.failures, self.failures
        assert self.done, "no write went through"

    def _write(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - reproducible, no secret
        try:
            with self.database.connection(self.user) as conn:
                while not self._stop.is_set():
                    try:
                        self.work(conn, chance)
                        conn.commit()
                        self.done += 1
                    except self.EXPECTED:
                        conn.rollback()
                    time.sleep(0.001)
        except BaseException as error:  # noqa: BLE001 - raised by the main thread
            self.failures.append(error)
