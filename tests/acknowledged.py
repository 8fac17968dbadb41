"""Writers in processes of their own that keep a log of what they tried and of what a server acknowledged.

They write campaigns with a chapter each, wherever it is taken: to the source, or to the target. What a server did not
answer (it crashed in the commit) may be there or not; such a row is never touched again.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from uuid import UUID

import psycopg2
from psycopg2.extensions import connection as Connection

from tests.cluster import Database

PAUSE_SECONDS = 0.004
ANSWER_SECONDS = 15.0
"""For a write to be taken once a side is open."""

Values = dict[str, set[str | None]]
"""Id of a campaign -> the names it may have; None: it is not there."""


@dataclass
class Place:
    """Where to write."""

    database: Database
    user: str
    schema: str


@dataclass
class Acknowledged:
    """All writers of a test, one after the other; their logs are in a directory."""

    places: tuple[Place, Place]
    directory: Path
    writers: int = 2
    _children: list[int] = field(default_factory=list)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Until the end of the block."""
        self._children = [self._fork(seed) for seed in range(self.writers)]
        try:
            yield
        finally:
            for child in self._children:
                os.kill(child, SIGKILL)
                os.waitpid(child, 0)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within a transaction, maybe: its outcome is open then."""
        for child in self._children:
            os.kill(child, SIGSTOP)
            os.waitpid(child, os.WUNTRACED)
        try:
            yield
        finally:
            for child in self._children:
                os.kill(child, SIGCONT)

    def _fork(self, seed: int) -> int:
        child = os.fork()
        if not child:
            try:
                _write(self.places, self.directory / f"{seed}.log", random.Random(seed))  # noqa: S311 - reproducible
            finally:
                os._exit(0)
        return child

    def done(self) -> int:
        """Number of acknowledged transactions."""
        return sum(path.read_text().count('"taken"') for path in self.directory.glob("*.log"))

    def are_taken(self) -> bool:
        """Whether writes are acknowledged again."""
        before, limit = self.done(), time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < limit:
            if self.done() > before:
                return True
            time.sleep(0.02)
        return False

    def values(self) -> Values:
        """What must be there."""
        found: Values = {}
        for path in self.directory.glob("*.log"):
            tried: list[tuple[str, str | None]] = []
            for line in path.read_text().splitlines():
                match json.loads(line):
                    case "taken":
                        found |= {key: {value} for key, value in tried}
                        tried = []
                    case "refused":
                        tried = []
                    case list(rows):
                        _unanswered(found, tried)
                        tried = [(key, value) for key, value in rows]
            _unanswered(found, tried)
        return found

    def damage(self, place: Place) -> Counter[str]:
        """What is wrong on a side: writes that are lost, altered, duplicated, back from the dead, of no one."""
        query = (
            "SELECT c.id::text, c.name, (SELECT count(*) FROM {0}.chapters AS h WHERE h.campaign_id = c.id)"
            " FROM {0}.campaigns AS c WHERE c.name LIKE 'w %%'"
        )
        with self.paused():
            rows, expected = place.database.rows(query.format(place.schema), []), self.values()
        there, found = {key: name for key, name, _ in rows}, Counter[str]()
        found["duplicated"] = len(rows) - len(there) + sum(chapters > 1 for *_, chapters in rows)
        found["altered"] = sum(chapters == 0 for *_, chapters in rows)
        for key in there.keys() | expected.keys():
            name, allowed = there.get(key), expected.get(key, {None})
            if name not in allowed:
                kind = "lost" if name is None else "back from the dead" if allowed == {None} else "altered"
                found[kind if key in expected else "of no one"] += 1
        return +found


def _unanswered(found: Values, tried: list[tuple[str, str | None]]) -> None:
    for key, value in tried:
        found[key] = found.get(key, {None}) | {value}


def _write(places: tuple[Place, Place], path: Path, chance: random.Random) -> None:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    mine: dict[str, str | None] = {}
    at, number, conn = 0, 0, None
    while True:
        place, number = places[at], number + 1
        tried = _next(mine, f"w {path.stem} {number}", chance)
        _say(log, list(tried.items()))
        try:
            conn = conn or psycopg2.connect(**place.database.as_role(place.user).keywords())
            _carry_out(conn, place.schema, tried, mine)
        except psycopg2.errors.ReadOnlySqlTransaction:
            at = 1 - at
            answer = "refused"
        except (psycopg2.errors.DeadlockDetected, psycopg2.errors.LockNotAvailable):
            answer = "refused"
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            answer = "refused"  # before its commit was sent
        else:
            try:
                conn.commit()
                answer = "taken"
            except psycopg2.Error:
                answer = "unknown"
        if answer == "taken":
            mine |= tried
        elif answer == "unknown":  # the next line says so
            mine |= dict.fromkeys(tried)
        if answer != "unknown":
            _say(log, answer)
        if answer != "taken" and conn is not None:
            conn.close()
            conn = None
        time.sleep(PAUSE_SECONDS)


def _next(mine: dict[str, str | None], name: str, chance: random.Random) -> dict[str, str | None]:
    """A new row, and often one of the old ones changed or deleted in the same transaction."""
    tried: dict[str, str | None] = {str(UUID(int=chance.getrandbits(128))): name}
    alive = [key for key, value in mine.items() if value is not None][-200:]
    if alive and chance.random() < 0.6:
        tried[chance.choice(alive)] = None if chance.random() < 0.4 else f"{name} again"
    return tried


def _carry_out(conn: Connection, schema: str, tried: dict[str, str | None], mine: dict[str, str | None]) -> None:
    with conn.cursor() as cursor:
        for key, value in tried.items():
            if value is None:
                cursor.execute(f"DELETE FROM {schema}.chapters WHERE campaign_id = %s", [key])
                cursor.execute(f"DELETE FROM {schema}.campaigns WHERE id = %s", [key])
            elif key in mine:
                cursor.execute(f"UPDATE {schema}.campaigns SET name = %s WHERE id = %s", [value, key])
            else:
                cursor.execute(
                    f"INSERT INTO {schema}.campaigns (id, name, creator_id, owner_id) VALUES (%(id)s, %(n)s, %(id)s,"
                    f" %(id)s); INSERT INTO {schema}.chapters (id, campaign_id, title, sequence_number)"
                    " VALUES (%(id)s, %(id)s, 'one', 1)",
                    {"id": key, "n": value},
                )


def _say(log: int, what: object) -> None:
    os.write(log, f"{json.dumps(what)}\n".encode())
