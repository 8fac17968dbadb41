"""What our child processes do alike."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends (Linux); Ctrl-C ends it at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


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
