"""The file descriptor store, spoken to as systemd is."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from service_common.handover import Store

FILES = 1500


@contextmanager
def many_files() -> Iterator[None]:
    """As many descriptors are open as a service with all its connections has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES + 500, hard), hard))
    try:
        with ExitStack() as stack:
            for _ in range(FILES):
                stack.enter_context(Path(os.devnull).open())
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_was_sent_is_waited_for_however_many_files_are_open(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, many_files():
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        heard: list[bytes] = []

        def hear() -> None:
            message, descriptors, _, _ = socket.recv_fds(manager, 4096, 8)
            heard.append(message)
            for each in descriptors:
                os.close(each)

        hearing = threading.Thread(target=hear)
        hearing.start()
        Store(str(tmp_path / "notify")).settle()
        assert heard == [b"BARRIER=1"]
        hearing.join()
