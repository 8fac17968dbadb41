"""The phases by name, and what other phases read from their results. No one else knows a key.

A result is kept as JSON. ``from_json`` takes what it knows and leaves the rest, so that the journal of an older
version can be read: what that one did not write is None, and None proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

BY_KEYS = "keys"
"""How rows were brought back: see ReconcileResult."""


class Phase(StrEnum):
    """Every phase that the journal keeps. Those of the rollback need a run that is being rolled back."""

    BACKUP = "backup"
    SCHEMA = "schema"
    SCHEMA_FENCE = "schema_fence"
    """The target is closed to writers, until the cutover."""
    FENCE_REOPEN = "fence_reopen"
    """Online mode: a change-over was killed before the target opened, the source takes writes again."""
    FENCE_PREPARE = "fence_prepare"
    FENCE = "fence"
    """The source is closed to writers. Online mode: the whole change-over, up to the opening of the target."""
    CAPTURE = "capture"
    """Online mode: the source notes the keys of the rows that change."""
    COPY = "copy"
    FOLLOW = "follow"
    """Online mode: rounds bring the noted rows over while the source is written."""
    VERIFY = "verify"
    REPAIR = "repair"
    CUTOVER = "cutover"
    CUTOVER_SERVICES = "cutover_services"
    PROOF = "proof"
    """The closed source compared with the open target, without what the target has changed since."""
    FOLLOW_BACK = "follow_back"
    """What the target has noted since its opening is brought to the source, while the target is written."""
    ROLLBACK_FENCE = "rollback_fence"
    """The target is closed to writers again."""
    ROLLBACK_RESTORE = "rollback_restore"
    RECONCILE = "reconcile"
    ROLLBACK_COPY = "rollback_copy"
    """The load is undone: the target's tables are emptied, or moved back."""
    ROLLBACK_OPEN = "rollback_open"
    ROLLBACK_CAPTURE = "rollback_capture"
    """The capture is taken off."""
    ROLLBACK_CANCEL = "rollback_cancel"
    """The rollback is given up: the target is open again."""
    FINALIZE_ARCHIVE = "finalize_archive"
    """The last dump of the source, proved by a drill."""
    FINALIZE = "finalize"
    """The source is retired. From its beginning there is no rollback."""
    FINALIZE_DROP = "finalize_drop"
    """What was retired is dropped."""
    RESOLVE = "resolve"
    """What stands on the sides and what the run says of them are made to agree again; in any run."""

    @property
    def of_rollback(self) -> bool:
        """Whether it belongs to rollback.yml."""
        return self in (
            Phase.ROLLBACK_FENCE,
            Phase.ROLLBACK_RESTORE,
            Phase.RECONCILE,
            Phase.ROLLBACK_COPY,
            Phase.ROLLBACK_OPEN,
            Phase.ROLLBACK_CAPTURE,
            Phase.ROLLBACK_CANCEL,
        )


@dataclass(frozen=True)
class Result:
    """Base of the typed results."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The fields that are known, from what the journal has; the rest keep their defaults."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})


@dataclass(frozen=True)
class FenceResult(Result):
    """Phase fence."""

    closing_at: str | None = None
    """Of an attempt under way: since when tables are closed, one after the other."""
    closed_at: str | None = None
    """When the fence was closed, ISO 8601; the write outage begins."""
    fence_epoch: str | None = None
    """Identity of the closed fence; another one means that it was open in between. See ``fence.state``."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Version 1 kept the epoch as ``seal``."""
        return super().from_json({"fence_epoch": values.get("seal"), **values})


@dataclass(frozen=True)
class CopyResult(Result):
    """Phase copy, or the move of tables."""

    copy_id: str | None = None
    """Identity of the target's content; another one after anything was loaded, emptied or repaired."""
    emptied: bool = False
    """A rollback has undone the load."""
    definitions: dict[str, str] | None = None
    """Of moved tables: see SchemaResult."""
    tables: tuple[dict[str, Any], ...] = ()
    sequences: tuple[Any, ...] | None = None
    """Of moved tables: names of the sequences that were moved too; None: the run's version kept none."""


@dataclass(frozen=True)
class SchemaResult(Result):
    """Phase schema."""

    definitions: dict[str, str] | None = None
    """What the lineage made, by name, with a digest of its definition; None: the operator keeps the schema."""
    revisions: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerifyResult(Result):
    """Phase verify."""

    outcome: str | None = None
    """``equal``, ``different`` or ``could_not_compare``."""
    fence_epoch: str | None = None
    """The closing behind which both sides were compared."""
    copy_id: str | None = None
    """The copy that was compared."""
    target_epoch: str | None = None
    """Of the target's fence meanwhile."""


@dataclass(frozen=True)
class CutoverResult(Result):
    """Phase cutover."""

    smoke_rows: tuple[dict[str, str], ...] = ()
    """Rows that a smoke test has written, or is about to write, to the target: ``table`` and ``id``."""


@dataclass(frozen=True)
class ProofResult(Result):
    """Phase proof."""

    outcome: str | None = None
    """``equal``, or ``could_not_compare`` where a table without a key has changed since the opening."""


@dataclass(frozen=True)
class BackupResult(Result):
    """Phase backup."""

    manifest_sha256: str | None = None


@dataclass(frozen=True)
class FinalizeResult(Result):
    """Phase finalize."""

    remains: dict[str, Any] | None = None
    """What is left of the source: see ``finalize.remains``."""


@dataclass(frozen=True)
class ReconcileResult(Result):
    """Phase reconcile, or repair."""

    to: str | None = None
    """The side that was made equal to the other."""
    by: str | None = None
    """``keys``: rounds have brought what was noted; else all rows were compared."""
    fence_epoch: str | None = None
    """Of the closing of the other side, where it was by keys."""


@dataclass(frozen=True)
class RestoreResult(Result):
    """Phase rollback_restore."""

    fence_epoch: str | None = None
    """Of the fence that the restored database was given; None: the run's version kept none."""


@dataclass(frozen=True)
class ResolveResult(Result):
    """Phase resolve."""

    keep: str | None = None
    """The side whose rows stay."""
