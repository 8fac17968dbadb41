"""The redacted log of a run, its events, and the last lines an operator reads."""

from __future__ import annotations

import atexit
import getpass
import json
import platform
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins import strategy
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as ansible_version
from ansible.template import Templar, trust_as_template

from consolidation import evidence
from consolidation.console import ending
from consolidation.console.board import Shown
from consolidation.console.figures import BAD, GOOD, OUTAGE, WARNING
from consolidation.console.last_words import Seen
from consolidation.console.workers import Watch
from consolidation.errors import ConsolidationError
from consolidation.module import fork
from consolidation.notices import hooks, metrics
from consolidation.notices.outbox import Outbox
from consolidation.review import page
from consolidation.review.collect import Collector

DOCUMENTATION = r"""
name: runbook
type: notification
short_description: Keeps a redacted log in the run directory and prints a run's last lines
description:
  - Writes C(log.txt) (mode 0600) into the run directory, a line for each result with time, play, task, host, status and
    message. It never holds arguments, loop items, diffs or what C(no_log) hides.
  - Writes C(events.jsonl) beside it, which has the commands given, the failures and the rollbacks begun.
  - Lines are kept in memory until a module names the run. Where none does, and in check mode, no log is written.
  - Ends with the outcome, causes and fixes, the next commands and where the report is, whichever callback writes to
    stdout. After Ctrl-C it says whether writes are refused, and what to type.
  - Ends the playbook likewise where a worker process of Ansible was killed, for which the strategy C(free) would wait
    without end, and where Ctrl-C was lost, as one is that Python meets while it deletes an object.
  - Notifies the hooks of C(consolidation_hooks) of what happens behind the fence; it waits for none. At the end it
    prints which have failed.
  - Writes metrics of each run into C(consolidation_metrics_directory), where the inventory has it.
  - The run directory is in the inventory variable C(consolidation_run_directory).
  - It is loaded from C(callback_plugins) of ansible.cfg, whatever else is enabled.
"""

LIBRARY = Path(__file__).resolve().parents[2] / "library"
LOG = "log.txt"
FINISHED = ("migrated", "finalized", "rolled back")
ENDS = {"migrated": hooks.FINISHED, "rolled_back": hooks.ROLLED_BACK}
"""State that ends a run -> the event."""
STRATEGIES = str(Path(strategy.__file__).parent)
"""Where Ansible's code is that plays a play."""
COLOURS = {GOOD: "COLOR_OK", WARNING: "COLOR_WARN", BAD: "COLOR_ERROR", OUTAGE: "COLOR_ERROR"}


class CallbackModule(CallbackBase):
    """Follows a playbook; prints nothing before its end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "runbook"
    # Whatever ANSIBLE_CALLBACKS_ENABLED says, as AWX and others set it: without it there is no log.
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._seen = Seen("", {}, Path.cwd())
        self._play: Any = None
        self._waiting: list[str] = []
        self._directories: dict[str, Path] = {}
        """Of the runs seen, by id; the newest last."""
        self._outbox = Outbox()
        self._metrics: Path | None = None
        """Where the metrics go."""
        self._review = Collector()
        self._base: Path | None = None
        """The folder of the run directories."""
        self._is_over = True
        self._workers = Watch(lambda text: self._display.display(text, color=C.COLOR_ERROR), _is_playing)
        atexit.register(self._interrupted)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """The beginning."""
        self._seen = Seen(str(playbook._file_name), context.CLIARGS, Path.cwd())
        self._is_over = False
        self._workers.start()
        if C.DEFAULT_STDOUT_CALLBACK != "console" and self._display.verbosity == 0:
            self._display.display(
                f"Every task is shown: the stdout callback is `{C.DEFAULT_STDOUT_CALLBACK}`. `console` shows one line a"
                f" phase; from another terminal: {self._seen.status()}"
            )

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins."""
        self._play = play
        self._keep(f"PLAY {play.get_name()}")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002 - by this name
        """The workers that are forked for it have what its module imports."""
        fork.load(LIBRARY / f"{task.action}.py")

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on a host."""
        role = str(task._role.get_name()) if task._role else ""
        self._seen.begins(host.get_name(), role, task.action, task.args)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        self._seen.active.pop(result.host.get_name(), None)
        if result.task.action == "ansible.builtin.validate_argument_spec":
            return
        self._find_run(result)
        self._learn(result)
        self._keep_result(result, "changed" if result.result.get("changed") else "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        self._seen.active.pop(result.host.get_name(), None)
        self._find_run(result)
        self._keep_result(result, "failed, ignored" if ignore_errors else "failed")
        self._seen.fails(result.host.get_name(), result.task.action, result.result)
        if not ignore_errors:
            self._remember_failure(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host did not answer."""
        self._seen.active.pop(result.host.get_name(), None)
        self._keep_result(result, "unreachable")
        self._seen.fails(result.host.get_name(), result.task.action, result.result)
        if not result.task.ignore_unreachable:
            self._remember_failure(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task was skipped."""
        self._seen.active.pop(result.host.get_name(), None)
        self._keep_result(result, "skipped")

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """One turn of a loop failed; the item itself is not written."""
        self._keep_result(result, "failed item")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The end: index the evidence, say what the outcome is and what comes next."""
        self._is_over = True
        self._workers.stop()
        self._keep("END")
        # What a rescue or the next try recovered is no failure at the end; the log has it.
        failed = [host for host in stats.processed if host in stats.failures or host in stats.dark]
        lines = [*self._seen.at_end(failed), *self._plan()]
        warnings = self._outbox.failures()
        for run_id, directory in self._directories.items():
            lines += ending.block("Log", str(directory / LOG))
            try:
                lines += self._index(run_id, directory)
                self._write_metrics(run_id, directory)
            except (ConsolidationError, OSError) as error:  # a full disk must not take the last lines away
                warnings.append(str(error).partition("\n")[0])
        for failure in warnings:
            lines += ending.block("Warning", f"{failure}; it stopped nothing", WARNING)
        self._print([*lines, *self._seen.who_writes(failed)])

    def _plan(self) -> list[Shown]:
        """The reviewer's page of a look."""
        if not context.CLIARGS["check"] or not self._review.saw_steps or self._base is None:
            return []
        name = Path(self._seen.playbook).name
        plan = page.content(self._review, self._base, name, self._seen.command(), datetime.now(UTC))
        lines = [Shown(line) for line in page.lines(plan, texts=bool(context.CLIARGS["diff"]))]
        try:
            written = str(page.write(plan, self._base))
        except ConsolidationError as error:
            written = str(error)
        return [*lines, Shown(""), *ending.block("Plan", written)]

    def _index(self, run_id: str, directory: Path) -> Iterator[Shown]:
        """Index the evidence, and close it where the run is over."""
        over = self._seen.reports.get(run_id, {}).get("outcome") in FINISHED
        digest = evidence.index(directory, close=over)
        if over:
            yield from ending.block(
                "Evidence", f"{directory / evidence.INDEX} is closed; keep its SHA-256 elsewhere:\n{digest}"
            )

    def _write_metrics(self, run_id: str, directory: Path) -> None:
        """For the exporter. Raises ConfigurationError."""
        path = Path(self._seen.reports.get(run_id, {}).get("path", directory / "report.html"))
        content = evidence.read(path.with_name("report.json"))
        if self._metrics is not None and content is not None:
            metrics.write(self._metrics / f"consolidation_{run_id}.prom", metrics.text(json.loads(content)))

    def _interrupted(self) -> None:
        """At the end of the process, where the playbook has not come to its end: Ctrl-C, or a fault of Ansible's."""
        if self._is_over:
            return
        self._is_over = True
        self._workers.stop()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # these lines come whole, however often Ctrl-C is typed
        for directory in self._directories.values():
            with suppress(ConsolidationError, OSError):  # the next command indexes it
                evidence.index(directory)
        self._print(self._seen.when_stopped(has_run=bool(self._directories)))

    def _print(self, lines: Iterable[Shown]) -> None:
        lines = list(lines)
        if lines:
            self._display.display("")
        for line in lines:
            colour = COLOURS.get(line.tone)
            self._display.display(line.text, color=getattr(C, colour) if colour else None)

    def _learn(self, result: Any) -> None:
        """What the modules of the runbook return, for the last lines and for the hooks."""
        host, module, values = result.host.get_name(), result.task.action, result.result
        self._seen.ends(host, module, result.task.args, values)
        if context.CLIARGS["check"]:
            self._base = self._base or self._run_directory(result.host)
            self._review.add(host, module, result.task.args, values)
        if not values.get("changed"):
            return
        if module == "run_journal" and (state := (values.get("run") or {}).get("state")) in ENDS:
            self._tell(result, ENDS[state])
        if module == "run_journal" and state == "rolling_back":
            self._event(evidence.ROLLING_BACK, database=host)
        if module == "pg_cutover" and "opened_at" in values:
            self._tell(result, hooks.OPENED, outage_seconds=values.get("outage_seconds"))

    def _tell(self, result: Any, event: str, **figures: Any) -> None:
        """The inventory's hooks, behind the fence: nothing waits for them."""
        if context.CLIARGS["check"]:
            return
        wanted = self._variable(result.host, "consolidation_hooks") or []
        run_id = next(reversed(self._directories), "")
        self._outbox.notify(wanted, event, result.host.get_name(), run_id=run_id, **figures)

    def _remember_failure(self, result: Any) -> None:
        host, message = result.host.get_name(), _message(result.result)
        if self._seen.failures.add(host, message):
            self._event(
                evidence.FAILED,
                database=host,
                phase=self._seen.phases.get(host, ""),
                task=result.task_name,
                message=message,
            )
            if self._directories:
                self._tell(result, hooks.FAILED, phase=self._seen.phases.get(host, ""))

    def _event(self, kind: str, **more: Any) -> None:
        """Keep what the report cannot know from the journal."""
        if not self._directories or context.CLIARGS["check"]:
            return
        event = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": kind}
        event |= {"playbook": Path(self._seen.playbook).name, **more}
        directory = next(reversed(self._directories.values()))
        evidence.append(directory / evidence.EVENTS, json.dumps(event, ensure_ascii=False) + "\n")

    def _find_run(self, result: Any) -> None:
        """The run that a result names, and its directory."""
        run_id = result.result.get("run_id")
        report = result.result.get("report")
        if isinstance(report, dict) and "verdict" in report:
            run_id = report["run_id"]
        if context.CLIARGS["check"] or not run_id or not isinstance(run_id, str) or run_id in self._directories:
            return
        base = self._run_directory(result.host)
        if base is not None:
            self._directories[run_id] = evidence.directory_of(base, run_id)
            metrics_directory = self._variable(result.host, "consolidation_metrics_directory")
            self._metrics = Path(str(metrics_directory)) if metrics_directory else None
            user = f"{getpass.getuser()}@{socket.gethostname()}"
            versions = {"ansible-core": ansible_version, "Python": platform.python_version()}
            self._event(evidence.COMMAND, by=user, command=self._seen.command(), versions=versions)

    def _run_directory(self, host: Any) -> Path | None:
        found = self._variable(host, "consolidation_run_directory")
        return None if found is None else Path(str(found))

    def _variable(self, host: Any, name: str) -> Any:
        """A variable of the inventory as the host sees it; None where there is none."""
        variables = self._play.get_variable_manager().get_vars(play=self._play, host=host)
        if name not in variables:
            return None
        templar = Templar(self._play.get_loader(), variables)
        try:
            return templar.template(trust_as_template("{{ " + name + " }}"))
        except AnsibleError:
            return None

    def _keep_result(self, result: Any, status: str) -> None:
        play = self._play.get_name() if self._play else ""
        line = f"{play} | {result.task_name} | {result.host.get_name()} | {status}"
        message = _message(result.result)
        self._keep(f"{line} | {message}" if message else line)

    def _keep(self, text: str) -> None:
        self._waiting.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z {_printable(text)}\n")
        if self._directories:
            evidence.append(next(reversed(self._directories.values())) / LOG, "".join(self._waiting))
            self._waiting.clear()


def _is_playing() -> bool:
    """Whether the main thread is within a play, and not on its way out."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return any(each.f_code.co_filename.startswith(STRATEGIES) for each, _ in traceback.walk_stack(frame))


def _message(values: Any) -> str:
    """The message of a result; what no_log hides has none."""
    if "censored" in values:
        return "(hidden by no_log)"
    message = values.get("msg", "")
    return message if isinstance(message, str) else ""


def _printable(text: str) -> str:
    """Names may hold anything: control characters would let them forge lines or move the cursor."""
    lines = ("".join(char if char.isprintable() else "�" for char in line) for line in text.split("\n"))
    return "\n    ".join(lines)
