"""A program on a terminal of its own, as an operator runs it."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROWS, COLUMNS = 40, 200
CTRL_C = b"\x03"


class Terminal:
    """Runs a program; keeps all it writes, escape sequences included, in `output`."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], directory: Path) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=directory,
            env={**environment, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)},
            start_new_session=True,
            # Ctrl-C reaches the programs of the terminal's session only. No thread of the tests holds a lock here.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        self.output = ""

    def read_until(self, text: str, seconds: float) -> None:
        """Wait until the text has been written."""
        self.read_while(lambda: text not in self.output, f"{text!r}", seconds)

    def read_while(self, waiting: Callable[[], bool], what: str, seconds: float) -> None:
        """Take what is written, so that the program goes on, until what is waited for is there."""
        deadline = time.monotonic() + seconds
        while waiting():
            assert self._read(), f"ended without {what}: {self.output}"
            assert time.monotonic() < deadline, f"no {what} in {seconds} s: {self.output}"

    def press(self, keys: bytes) -> None:
        """Type something."""
        os.write(self._ours, keys)

    def wait(self, seconds: float) -> int:
        """Read to the end; the program's status."""
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, f"does not end: {self.output}"
        os.close(self._ours)
        return self.process.wait(seconds)

    def _read(self) -> bool:
        """Take what is there, waiting up to a second; False at the end."""
        if not select.select([self._ours], [], [], 0.1)[0]:
            return True
        try:
            self.output += os.read(self._ours, 65536).decode(errors="replace")
        except OSError:  # Linux says so when the last program on the terminal has ended
            return False
        return True
