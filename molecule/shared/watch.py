"""What `ps` shows of every process of this machine, those of its hosts included: arguments and environment.

python molecule/shared/watch.py FOLDER     until the folder is gone; FOLDER/processes gets each of them once
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def shown() -> Iterator[bytes]:
    """One line for the arguments of a process, one for its environment."""
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):  # it ended meanwhile, or may not be read
                yield (process / name).read_bytes().replace(b"\0", b" ") + b"\n"


def watch(folder: Path) -> None:
    """Write down what has not been seen before."""
    seen: set[bytes] = set()
    with (folder / "processes").open("wb", buffering=0) as file:
        while folder.exists():
            for line in shown():
                if line not in seen:
                    seen.add(line)
                    file.write(line)
            time.sleep(0.2)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
