"""What a piece of work costs: seconds on the clock and of the processors on either side, memory of client processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it brings no types

from bench.place import Place
from demo.servers import Server

SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class Usage:
    """Seconds and bytes of one piece of work."""

    seconds: float
    source_cpu_seconds: float
    target_cpu_seconds: float
    client_cpu_seconds: float
    """Of this process and all programs that it started."""
    peak_bytes: int
    """Resident memory of the largest program that this process started (its high-water mark)."""

    def __add__(self, other: Usage) -> Usage:
        """Both pieces, one after the other."""
        return Usage(
            self.seconds + other.seconds,
            self.source_cpu_seconds + other.source_cpu_seconds,
            self.target_cpu_seconds + other.target_cpu_seconds,
            self.client_cpu_seconds + other.client_cpu_seconds,
            max(self.peak_bytes, other.peak_bytes),
        )


@dataclass
class Meter:
    """Holds the usage once the block of `metered` has ended."""

    found: list[Usage] = field(default_factory=list)

    @property
    def usage(self) -> Usage:
        return self.found[0]


@contextmanager
def metered(place: Place) -> Iterator[Meter]:
    """Measure the block."""
    meter, watch = Meter(), _Watch()
    before = (server_cpu_seconds(place.source), server_cpu_seconds(place.target), _client_cpu_seconds())
    started = time.perf_counter()
    with watch:
        yield meter
        seconds = time.perf_counter() - started
    after = (server_cpu_seconds(place.source), server_cpu_seconds(place.target), _client_cpu_seconds())
    source, target, client = (now - then for now, then in zip(after, before, strict=True))
    meter.found.append(Usage(seconds, source, target, client, watch.peak_bytes))


def server_cpu_seconds(server: Server) -> float:
    """Of all processes of a server so far, those that have ended among them (the postmaster has reaped them)."""
    pid = int((server.directory / "data" / "postmaster.pid").read_text().splitlines()[0])
    postmaster = psutil.Process(pid)
    spent = postmaster.cpu_times()
    total = sum(spent[:4])  # user, system, and both of the children reaped
    for child in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            total += sum(child.cpu_times()[:2])
    return float(total)


def _client_cpu_seconds() -> float:
    return float(sum(psutil.Process().cpu_times()[:4]))


class _Watch:
    """A thread that looks at the memory of our child processes, and theirs, while the block runs."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._end.wait(SAMPLE_SECONDS):
            for child in me.children(recursive=True):
                with suppress(OSError):  # it has ended
                    self.peak_bytes = max(self.peak_bytes, _high_water_bytes(child.pid))


def _high_water_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0  # a process that has ended and was not reaped yet
