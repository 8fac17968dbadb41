"""The plan of a phase that does one thing, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from consolidation.model import Database


@dataclass(frozen=True)
class Plan:
    """What is to be done, or why it is not."""

    database: Database
    what: str
    skip_reason: str

    @property
    def changed(self) -> bool:
        """Whether it is to be done."""
        return not self.skip_reason

    def diff(self) -> dict[str, str]:
        """The same, to be shown."""
        return {"prepared": f"{self.skip_reason or self.what}\n"}
