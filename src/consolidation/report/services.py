"""The services of each database, as the run's evidence has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from consolidation import evidence
from consolidation.borders import Json

CONFIG, BACK = "config-", "rollback-config-"
"""Evidence files of a host's configuration change, at the cutover and at the rollback."""


def read(directories: Sequence[Path]) -> dict[str, list[Json]]:
    """Database -> its services by host: configuration file, and what was changed in it, without secrets."""
    found: dict[str, dict[str, Json]] = {}
    for path in (path for directory in directories for path in sorted(directory.glob("*/*.json"))):
        for prefix, key in ((CONFIG, "changed"), (BACK, "changed_back")):
            if path.stem.startswith(prefix):
                host = path.stem.removeprefix(prefix)
                entry = found.setdefault(path.parent.name, {}).setdefault(host, {"host": host, "evidence": []})
                entry.update(_entry(path, key))
                entry["evidence"] = sorted({*entry["evidence"], f"{path.parent.name}/{path.name}"})
    return {database: [entries[host] for host in sorted(entries)] for database, entries in found.items()}


def _entry(path: Path, key: str) -> Json:
    try:
        content = json.loads(evidence.read(path) or "")
    except ValueError:
        return {}
    return {"path": content.get("path", ""), key: content.get("msg", "")}
