"""The part of requirements.txt that some packages need, hashes included, for machines that get no more than that.

    python tools/lock_subset.py storage-consolidation > roles/runner/files/requirements.txt
    python tools/lock_subset.py --own dist campaign-service storage-client > requirements.txt

Our own packages come as wheels built from the checkout: those that lie in the folder --own are named too, otherwise
none. Reads the dependencies of what is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).parents[1] / "requirements.txt"
SERVICES = {"service-common", "storage-service", "storage-client", "campaign-service", "image-service"}
OWN = SERVICES | {"storage-consolidation"}


def locked(text: str) -> dict[str, str]:
    """The entries of a hashed requirements file by canonical name; comments are dropped."""
    lines = [line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#")]
    entries = re.split(r"(?m)^(?=[a-zA-Z0-9])", "".join(lines))
    return {canonicalize_name(re.split(r"[=\[;\s]", entry, maxsplit=1)[0]): entry for entry in entries if entry.strip()}


def closure(wanted: Iterable[str]) -> set[str]:
    """Canonical names of the wanted requirements (extras allowed) and of all that they need on this platform."""
    names: set[str] = set()
    done: set[tuple[str, frozenset[str]]] = set()
    pending = [Requirement(text) for text in wanted]
    while pending:
        requirement = pending.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        names.add(name)
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                pending.append(needed)
    return names


def subset(wanted: Iterable[str], own: Path | None = None) -> str:
    """The text of the smaller requirements file. Raises KeyError for a package that the lock does not have."""
    names = closure(wanted)
    entries = locked(LOCK.read_text(encoding="utf-8"))
    return "".join(entries[name] for name in sorted(names - OWN)) + "".join(own_entries(names & OWN, own))


def own_entries(names: set[str], folder: Path | None) -> Iterator[str]:
    """Lines for our own wheels, with the hash of each."""
    for wheel in sorted(folder.glob("*.whl")) if folder else ():
        name, version = wheel.name.split("-")[:2]
        if canonicalize_name(name) in names:
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            yield f"{canonicalize_name(name)}=={version} --hash=sha256:{digest}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--own", type=Path, help="folder with wheels of our own packages")
    parser.add_argument("package", nargs="+", help="requirement, extras allowed")
    arguments = parser.parse_args()
    sys.stdout.write(subset(arguments.package, arguments.own))
