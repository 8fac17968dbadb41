"""What our child processes share.

Run as a script it becomes another program that ends with its parent: ``processes.py PARENT PROGRAM ARGUMENTS``. So it
imports nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel end this process when its parent ends, however that ends (Linux); Ctrl-C ends it at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, by)  # it survives exec
    if os.getppid() != parent:
        sys.exit("its parent has gone")


@contextmanager
def children(module: str, count: int) -> Iterator[Sequence[subprocess.Popen[str]]]:
    """``count`` processes ``python -m module`` that talk by lines; killed, whatever they do, at the end of the block.

    They start while the caller finds out what they are to do. What waits for their answer is for the caller to end.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        yield processes
    finally:
        kill(processes)
        for process in processes:
            if process.stdout is not None and not process.stdout.closed:
                process.communicate()


def kill(processes: Sequence[subprocess.Popen[str]]) -> None:
    """End them now: whoever waits for their answer gets none."""
    for process in processes:
        process.kill()


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), signal.SIGTERM)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - a list of arguments, no shell
