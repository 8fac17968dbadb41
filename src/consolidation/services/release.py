"""What a service's release must and must not contain, by its requirements file."""

from __future__ import annotations

import re

DIRECT = frozenset({"asyncpg", "sqlalchemy"})
"""What a service needs for a database of its own, by normalized name."""
CLIENT = "storage-client"
REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")


def required(requirements: str) -> frozenset[str]:
    """Normalized names of the distributions that a requirements file names."""
    lines = (line.strip() for line in requirements.splitlines())
    found = (REQUIREMENT.match(line) for line in lines)
    return frozenset(re.sub(r"[-_.]+", "-", match.group(1)).lower() for match in found if match)


def faults(requirements: str) -> list[str]:
    """Why this is no release that goes through the Storage Service; empty: it is one."""
    names = required(requirements)
    found = [f"still has {name}" for name in sorted(DIRECT & names)]
    return found if CLIENT in names else [*found, f"lacks {CLIENT}"]
