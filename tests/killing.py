"""Commands given as an operator gives them, and faults that strike within any of their steps.

A step is called in a process of its own. A fault strikes at one of the statements and commits that the step sends, at a
share of all that it sends when nothing strikes: 0 is before the first one, 0.999 before the last, 1 after that.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

from consolidation.capture import state as capture
from consolidation.copy import undo
from consolidation.errors import ConsolidationError, RunInProgress, StatementFailed
from consolidation.fence import sides
from consolidation.fence import state as fence
from consolidation.journal import records
from consolidation.journal.decisions import Standing
from consolidation.journal.results import Phase
from consolidation.postgres.connection import session
from consolidation.rollback import cancel, reconcile, trial
from demo.servers import Server
from tests.window import Window

KILL, BACKEND, SOURCE, TARGET, ORPHAN = (
    "module killed",
    "backend killed",
    "source crashed",
    "target crashed",
    "orphaned",
)
"""Orphaned: its ansible-playbook is gone and the next command is given while it still works, to its end."""
FAULTS = (KILL, BACKEND, SOURCE, TARGET, ORPHAN)
CALM_SECONDS = 20.0
"""For the sessions of a process that was killed to be gone."""


@dataclass(frozen=True)
class Fault:
    """What strikes, where."""

    kind: str
    step: str
    share: float


class Stopped(Exception):
    """The command has ended at the fault."""


@dataclass
class Command:
    """One ansible-playbook command; with a fault it ends there."""

    window: Window
    counted: dict[str, int] = field(default_factory=dict)
    """Step -> number of statements, commits among them, that it sends undisturbed."""
    fault: Fault | None = None
    counting: bool = False
    said: str = ""
    """By the step that was struck."""

    def do(self, step: str, work: Callable[[], Any]) -> Any:
        """Take a step. Raises Stopped where the fault has struck in it."""
        if self.counting:
            reported = _in_child(self.window, work, None, 0)
            assert not reported["error"], reported
            self.counted[step] = self.counted.get(step, 0) + reported["count"]
            return reported["result"]
        if self.fault is None or self.fault.step != step:
            return work()
        said = self.counted[step]
        at = said + 1 if self.fault.share == 1 else max(round(self.fault.share * said), 1)
        reported = _in_child(self.window, work, self.fault.kind, at)
        self.said = reported["error"]
        _until_calm(self.window)
        raise Stopped


def next_command(window: Window, **options: Any) -> Command:
    """Each is another process of ansible-playbook."""
    window.control = {**window.control, "started": str(time.monotonic_ns())}
    return Command(window, **options)


def migrate(command: Command) -> None:
    """What migrate.yml does, without services, backup and preflight."""
    window, do = command.window, command.do
    sides.require_no_conflict(window.database)
    do("begin", window.begin)
    online = window.database.strategy.follows
    if online:
        do(Phase.FENCE_REOPEN, partial(window.fence, "source", "open", Phase.FENCE_REOPEN))
    do(Phase.SCHEMA, window.build)
    do(Phase.SCHEMA_FENCE, partial(window.fence, "target", "closed", Phase.SCHEMA_FENCE))
    do(Phase.FENCE_PREPARE, partial(window.fence, "source", "prepared", Phase.FENCE_PREPARE))
    if online:
        do(Phase.CAPTURE, window.capture)
    else:
        do(Phase.FENCE, partial(window.fence, "source", "closed"))
    do(Phase.COPY, window.copy)
    if online:
        do(Phase.FOLLOW, window.follow)
    do(Phase.VERIFY, window.verify)
    do(Phase.CUTOVER, window.cutover)
    do("end", partial(window.end, records.MIGRATED))
    do(Phase.PROOF, window.prove)


def follow_back(command: Command) -> None:
    """What playbooks/follow.yml does."""
    sides.require_no_conflict(command.window.database)
    command.do(Phase.FOLLOW_BACK, partial(command.window.follow, "source"))


def rollback(command: Command) -> None:
    """What rollback.yml does, without services."""
    window, do = command.window, command.do
    sides.require_no_conflict(window.database)
    trial.look(window.database, 2)
    begun = do("begin", partial(window.begin, records.ROLLING_BACK))
    if begun["authoritative"] == "source":
        do(Phase.ROLLBACK_OPEN, partial(window.fence, "source", "open", Phase.ROLLBACK_OPEN))
    if "opened_at" not in do("change back", window.change_back):
        do(Phase.ROLLBACK_FENCE, partial(window.fence, "target", "closed", Phase.ROLLBACK_FENCE))
        do(Phase.RECONCILE, lambda: reconcile.apply(reconcile.plan(window.database, "source")))
        do(Phase.ROLLBACK_COPY, lambda: undo.apply(undo.plan(window.database), 10))
        do(Phase.ROLLBACK_OPEN, partial(window.fence, "source", "open", Phase.ROLLBACK_OPEN))
    do(Phase.ROLLBACK_CAPTURE, partial(window.capture, "source", capture.ABSENT))
    do("capture of the target", partial(window.capture, "target", capture.ABSENT))
    do("end", partial(window.end, records.ROLLED_BACK))


def cancel_rollback(command: Command) -> None:
    """What playbooks/cancel_rollback.yml does."""
    window = command.window
    sides.require_no_conflict(window.database)
    command.do(Phase.ROLLBACK_CANCEL, lambda: cancel.apply(cancel.plan(window.database), 10))


def give(window: Window, play: Callable[[Command], None], counted: dict[str, int], fault: Fault | None = None) -> str:
    """Give a command, and a fault with it; what the step that was struck said."""
    command = next_command(window, counted=counted, fault=fault)
    try:
        play(command)
    except Stopped:
        return command.said
    assert fault is None, f"{fault} did not strike"
    return ""


def count(window: Window, play: Callable[[Command], None]) -> dict[str, int]:
    """Give a command that nothing disturbs: how much each of its steps has to say."""
    command = next_command(window, counting=True)
    play(command)
    return command.counted


def ending(window: Window) -> dict[str, Any]:
    """How a command has left the run and both sides."""
    run = window.state()
    _, seen, conflict = sides.check(window.database)
    found: dict[str, Any] = {
        "standing": run.standing,
        "authoritative": run.authoritative,
        "proved": run.proved or run.standing == Standing.ROLLED_BACK,
        "conflict": conflict,
        "writers": seen.writers,
        # What a rollback was given instead of stays as it was.
        "phases not done": [
            name
            for name, phase in run.phases.items()
            if phase.state != "done" and (Phase(name).of_rollback or run.standing != Standing.ROLLED_BACK)
        ],
    }
    for side in (window.database.source_side, window.database.target_side):
        with session(side.settings, "test") as conn:
            fences = {table.state for table in fence.read(conn, side)}
            # A trigger that is not there refuses no one.
            found[f"fences of the {side.name}"] = {fence.PREPARED if each == fence.ABSENT else each for each in fences}
            found[f"captures of the {side.name}"] = {table.state for table in capture.read(conn, side)}
    valid = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"
    found["foreign keys"] = window.source.value(valid), window.target.value(valid)
    return found


# A fault, from within the process that it strikes


@dataclass
class _Strike:
    """Strikes once, at the n-th statement."""

    window: Window
    kind: str | None
    at: int
    parent: int
    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _connect: Any = psycopg2.connect

    def reached(self, conn: Any) -> None:
        """Something is about to be sent."""
        with self._lock:
            self.count += 1
            now = self.count == self.at
        if now:
            self.now(conn)

    def now(self, conn: Any = None) -> None:
        """Strike."""
        match self.kind:
            case "module killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "orphaned":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "backend killed" if conn is not None:
                self._terminate(conn)
            case "source crashed":
                _crash(self.window.source.server)
            case "target crashed":
                _crash(self.window.target.server)

    def _terminate(self, conn: Any) -> None:
        pid, info = conn.info.backend_pid, conn.info
        servers = {each.server.port: each.server for each in (self.window.source, self.window.target)}
        server = servers[info.port]
        there = self._connect(
            host=server.host, port=server.port, dbname="postgres", user="postgres", passfile=str(server.passfile)
        )
        there.autocommit = True
        there.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        there.close()

    def connect(self, *given: Any, **keywords: Any) -> Any:
        """In place of psycopg2's."""
        reached = self.reached

        class Cursor(cursor):
            def execute(self, *args: Any, **named: Any) -> Any:
                reached(self.connection)
                return super().execute(*args, **named)

            def copy_expert(self, *args: Any, **named: Any) -> Any:
                reached(self.connection)
                return super().copy_expert(*args, **named)

        class Struck(connection):
            def commit(self) -> None:
                reached(self)
                super().commit()

        return self._connect(*given, connection_factory=Struck, cursor_factory=Cursor, **keywords)


def _crash(server: Server) -> None:
    server.stop("immediate")
    server.start()


def _in_child(window: Window, work: Callable[[], Any], kind: str | None, at: int) -> dict[str, Any]:
    """Take a step in a process of its own; what it says of itself, where it could."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        strike = _Strike(window, kind, at, os.getppid())
        psycopg2.connect = strike.connect
        reported: dict[str, Any] = {"error": "", "result": None}
        try:
            reported["result"] = work()
            if strike.count < at:
                strike.now()  # after its last word
        except ConsolidationError as error:
            reported["error"] = str(error)
        except BaseException:  # noqa: BLE001 - a module would end with a traceback
            reported["error"] = f"TRACEBACK {traceback.format_exc()}"
        finally:
            reported["count"] = strike.count
            os.write(writing, json.dumps(reported, default=str).encode())
            os._exit(0)
    os.close(writing)
    while os.WIFSTOPPED(status := os.waitpid(child, os.WUNTRACED)[1]):
        refused_meanwhile(window)
        os.kill(child, signal.SIGCONT)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    if os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
        return {"error": "", "count": 0, "result": None}
    found: dict[str, Any] = json.loads(said)
    assert not found["error"].startswith("TRACEBACK"), found["error"]
    return found


def refused_meanwhile(window: Window) -> None:
    """A command that is given while a module of the one before still works: it waits its turn, or nothing is amiss."""
    run = window.state().run
    try:
        next_command(window).window.begin(run.state if run else records.MIGRATING)
    except (RunInProgress, StatementFailed):  # the latter: the journal itself is just being built
        return


def _until_calm(window: Window) -> None:
    """The servers notice that a process has gone."""
    limit = time.monotonic() + CALM_SECONDS
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'consolidation %%'"
    while any(each.value(ours, []) for each in (window.source, window.target)):
        assert time.monotonic() < limit, "sessions of a process that was killed are still there"
        time.sleep(0.02)
