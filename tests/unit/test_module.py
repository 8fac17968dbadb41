"""What all modules do alike."""

from __future__ import annotations

import signal
import subprocess
import sys

DRIVER = """
import time
from consolidation.module.failures import failures
with failures(None):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_module_whose_caller_is_gone_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdout.close()
        assert process.wait(10) == -signal.SIGINT
