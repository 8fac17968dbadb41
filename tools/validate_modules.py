"""Run ansible-test's validate-modules over library/: does the documentation say what the argument specs say?

ansible-test only works inside a collection; this makes a throw-away one of links to what galaxy.yml would pack.
Exit code 1 and a line for each fault.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import ansible_test

from consolidation import __version__

ROOT = Path(__file__).resolve().parent.parent
VALIDATE = Path(ansible_test.__file__).parent / "_util/controller/sanity/validate-modules/validate.py"
COLLECTION = "ansible_collections/storage/consolidation"

# For modules that are published one by one, each with its licence; ours share the repository's.
LEFT_OUT = re.compile(r"missing-gplv3-license")


def validate(parent: Path) -> subprocess.CompletedProcess[str]:
    """Build the collection below ``parent`` and validate it."""
    collection = parent / COLLECTION
    collection.mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "library", "plugins"):
        (collection / name).symlink_to(ROOT / name)
    modules = sorted(f"plugins/modules/{path.name}" for path in (ROOT / "library").glob("*.py"))
    command = [sys.executable, str(VALIDATE), "--arg-spec", "--collection", COLLECTION]
    command += ["--collection-version", __version__, *modules]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(parent)}
    return subprocess.run(command, cwd=collection, env=environment, check=False, capture_output=True, text=True)


def main() -> int:
    """Validate, and print what counts."""
    with tempfile.TemporaryDirectory() as name:
        done = validate(Path(name))
    if done.returncode and not done.stdout:  # it did not get as far as the modules
        print(done.stderr, file=sys.stderr)
        return done.returncode
    faults = [line for line in done.stdout.splitlines() if line and not LEFT_OUT.search(line)]
    print("\n".join(faults).replace("plugins/modules/", "library/") or "validate-modules: no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
