"""A module in a fork of a process that has imported what it needs, in place of a new interpreter."""

from __future__ import annotations

import gc
import io
import os
import runpy
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn


@cache
def load(module: Path) -> None:
    """Import what the module imports, if there is such a module; forks of this process have it then.

    What cannot be imported here may be on another host, where the module runs.
    """
    if module.is_file():
        with suppress(ImportError):
            runpy.run_path(str(module), run_name=module.stem)


def run(
    module: Path, arguments: bytes, *, directory: Path, environment: Mapping[str, str], prepare: Callable[[], None]
) -> tuple[int, bytes, bytes]:
    """Run the module with the JSON ``arguments`` on its standard input; gives its exit status, output and errors.

    ``prepare`` is called in the fork, before the module. A signal gives 128 and its number, as a shell's status does.
    """

    def work() -> int:
        os.environ.update(environment)
        os.chdir(directory)
        prepare()
        sys.stdin = io.TextIOWrapper(io.BytesIO(arguments))
        sys.argv = [str(module)]
        return _exit_status(module)

    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            _never_return(work, reading, writing, errors.fileno())
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            output = pipe.read()
        _, status = os.waitpid(child, 0)
        errors.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code, output, errors.read()


def _never_return(work: Callable[[], int], reading: int, writing: int, errors: int) -> NoReturn:
    """Nothing of the caller runs any more, whatever happens: neither its handlers nor what it would do at its exit."""
    status = 1
    try:
        gc.freeze()  # what the caller has left is not collected here: its descriptors may have other files by then
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.close(reading)  # the module watches whether anyone reads its output
        os.dup2(writing, 1)
        os.dup2(errors, 2)
        os.close(writing)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
        status = work()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - a fork never goes on with its caller's work
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
        finally:
            os._exit(status)


def _exit_status(module: Path) -> int:
    try:
        runpy.run_path(str(module), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
