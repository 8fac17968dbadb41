"""The phases by name, and their results. No one else knows a key.

A result is kept as JSON. ``from_json`` takes what it knows and leaves the rest, so that the journal of an older
version can be read: what that one did not write is None, and None proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

from consolidation.borders import Json

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
    """Online mode: the closed source compared with the open target, without what the target has changed since."""
    FOLLOW_BACK = "follow_back"
    """What the target has noted since its opening is brought to the source, while the target is written."""
    ROLLBACK_FENCE = "rollback_fence"
    """The target is closed to writers again."""
    ROLLBACK_RESTORE = "rollback_restore"
    RECONCILE = "reconcile"
    ROLLBACK_COPY = "rollback_copy"
    """The load is undone: the target's tables are emptied, or moved back."""
    ROLLBACK_OPEN = "rollback_open"
    ROLLBACK_SERVICES = "rollback_services"
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
        brings = Phase.ROLLBACK_FENCE, Phase.ROLLBACK_RESTORE, Phase.RECONCILE, Phase.ROLLBACK_COPY
        opens = Phase.ROLLBACK_OPEN, Phase.ROLLBACK_CAPTURE, Phase.ROLLBACK_SERVICES
        return self in (*brings, *opens, Phase.ROLLBACK_CANCEL)


Tables = tuple[Json, ...]
"""One object for each table, as the module returns them."""


@dataclass(frozen=True)
class Result:
    """Base of the typed results. None: the phase has not said so, or not yet."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The fields that are known, from what the journal has; the rest keep their defaults."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def as_json(self) -> Json:
        """What there is to keep."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values if value is not None}


@dataclass(frozen=True)
class BackupResult(Result):
    """Phase backup, and finalize_archive."""

    directory: str | None = None
    manifest_sha256: str | None = None
    snapshot_at: str | None = None
    lsn: str | None = None
    server_version: str | None = None
    tool_version: int | None = None
    database_bytes: int | None = None
    dump_bytes: int | None = None
    tables: Tables | None = None
    sequences: Json | None = None
    left_out: tuple[str, ...] | None = None
    """What the dump does not hold."""
    drill: Json | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class SchemaResult(Result):
    """Phase schema."""

    definitions: dict[str, str] | None = None
    """What the lineage made, by name, with a digest of its definition; None: the operator keeps the schema."""
    revisions: Sequence[str] | None = None
    """Those that this run has applied."""
    heads: Sequence[str] | None = None


@dataclass(frozen=True)
class FenceResult(Result):
    """Phase fence, and every other phase that closes or opens a side. Online: the whole change-over."""

    closing_at: str | None = None
    """Of an attempt under way: since when tables are closed, one after the other."""
    closed_at: str | None = None
    """When the fence was closed, ISO 8601; the write outage begins."""
    locking_at: str | None = None
    """Since when its locks were waited for (for ``waited_seconds``), and writers behind them; None: since closed_at."""
    waited_seconds: float | None = None
    fence_epoch: str | None = None
    """Identity of the closed fence; another one means that it was open in between. See ``fence.state``."""
    opened_at: str | None = None
    handed_over_at: str | None = None
    """Phase rollback_open, by noted keys: when the Storage Service could see it."""
    tables: Tables | None = None
    probes: Tables | None = None
    """What happened to a write of every role on every table."""
    outage_seconds: float | None = None
    rounds: int | None = None
    """Behind the fence; so are keys and rows."""
    keys: int | None = None
    rows: int | None = None
    sequences: Sequence[str] | None = None
    aborted: Tables | None = None
    """Earlier attempts, that have opened the source again: ``closing_at`` and ``reopened_at``."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Version 1 kept the epoch as ``seal``."""
        return super().from_json({"fence_epoch": values.get("seal"), **values})

    @property
    def clients_wait_from(self) -> str | None:
        """The first moment at which a client may have waited; None where it was not closed."""
        return self.closed_at and (self.locking_at or self.closed_at)


@dataclass(frozen=True)
class CopyResult(Result):
    """Phase copy, or the move of tables; and rollback_copy, which moves them back."""

    mode: str | None = None
    copy_id: str | None = None
    """Identity of the target's content; another one after anything was loaded, emptied or repaired."""
    emptied: bool | None = None
    """A rollback has undone the load."""
    definitions: dict[str, str] | None = None
    """Of moved tables: see SchemaResult."""
    tables: Tables | None = None
    hosts: Tables | None = None
    sequences: Sequence[Any] | None = None
    """Of moved tables: names of the sequences that were moved too; None: the run's version kept none."""
    seconds: float | None = None


@dataclass(frozen=True)
class FollowResult(Result):
    """Phase follow, and follow_back."""

    to: str | None = None
    rounds: int | None = None
    keys: int | None = None
    rows: int | None = None
    lag_seconds: float | None = None
    last_rounds: Tables | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class ProofResult(Result):
    """Phase proof: both sides as they were compared."""

    outcome: str | None = None
    """``equal``, ``different`` or ``could_not_compare``: a table without a key has changed since the opening."""
    tables: Tables | None = None
    sequences: Tables | None = None
    faults: Sequence[str] | None = None
    summary: Sequence[str] | None = None
    at: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class VerifyResult(ProofResult):
    """Phase verify."""

    self_test: Json | None = None
    fence_epoch: str | None = None
    """The closing behind which both sides were compared; empty: a resolution has withdrawn it."""
    copy_id: str | None = None
    """The copy that was compared."""
    target_epoch: str | None = None
    """Of the target's fence meanwhile."""
    extended_at: str | None = None
    """Online: when the last rounds behind the fence were compared as well."""


@dataclass(frozen=True)
class CutoverResult(Result):
    """Phase cutover."""

    smoke_rows: Tables | None = None
    """Rows that a smoke test has written, or is about to write, to the target: ``table`` and ``id``."""
    opening_at: str | None = None
    """From then on the target may have been open."""
    opened_at: str | None = None
    closed_at: str | None = None
    outage_seconds: float | None = None


@dataclass(frozen=True)
class ReconcileResult(Result):
    """Phase reconcile, or repair."""

    to: str | None = None
    """The side that was made equal to the other."""
    by: str | None = None
    """``keys``: rounds have brought what was noted; else all rows were compared."""
    fence_epoch: str | None = None
    """Of the closing of the other side, where it was by keys."""
    compared: int | None = None
    tables: Tables | None = None
    sequences: Sequence[str] | None = None
    rounds: int | None = None
    keys: int | None = None
    rows: int | None = None
    last_seconds: float | None = None
    resolved: bool | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class RestoreResult(Result):
    """Phase rollback_restore."""

    directory: str | None = None
    consent: str | None = None
    msg: str | None = None
    fence_epoch: str | None = None
    """Of the fence that the restored database was given; None: the run's version kept none."""
    tables: Tables | None = None
    kept_as: str | None = None
    """What the replaced database is called; None: there was none."""
    settings_not_restored: Sequence[str] | None = None
    not_restored: Sequence[str] | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class ResolveResult(Result):
    """Phase resolve."""

    keep: str | None = None
    """The side whose rows stay."""
    typed: bool | None = None
    conflict: str | None = None
    state: str | None = None
    were_open: Sequence[str] | None = None
    """While it is under way: the sides that took writes before."""
    kept_in: Sequence[str] | None = None
    """Where the rows that were given up are."""
    tables: Tables | None = None
    compared: Sequence[str] | None = None


@dataclass(frozen=True)
class FinalizeResult(Result):
    """Phase finalize."""

    remains: Json | None = None
    """What is left of the source: see ``finalize.remains``."""
    archive: Json | None = None
    pending: Sequence[str] | None = None
    """Statements that a superuser has to execute."""
