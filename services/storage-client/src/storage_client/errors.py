"""What can go wrong, as one tree.

StorageError
├── Unavailable         no answer, or 5xx, for as long as the client may retry: a write may have happened
│   └── NotWritten      503, and certainly nothing was written: the table is fenced or locked, …
├── Unauthorized        the token is missing or wrong (401)
├── Forbidden           the token is for another database (403)
├── NotFound            no such record, or it is deleted (404), or was removed since the write was done (410)
├── Conflict            the id exists already, or a reference is missing (409)
├── VersionMismatch     the record was changed since the version that the call names (412)
├── InvalidRequest      unknown table or column, or a value that does not fit (400, 404 of a path, 413, 422)
└── UnexpectedAnswer    a read was not answered by a Storage Service

An error of a write carries `id` (of a batch: `ids`) and `idempotency_key`: the same call with both is the same write,
and happens once.
Messages carry what the service says about the request, never row data or the token.
"""

from typing import Any
from uuid import UUID


class StorageError(Exception):
    """The Storage Service did not do what was asked."""

    def __init__(self, message: str, *, status: int | None = None, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status, None when there was no answer."""
        self.errors = errors or []
        """One entry per wrong field: {"field": …, "message": …}."""
        self.id: UUID | None = None
        """Of the record that the write was about; None: of a batch."""
        self.ids: list[UUID] = []
        """Of all records that the write was about, in their order."""
        self.idempotency_key: str | None = None
        """Of the write."""


class Unavailable(StorageError):
    """No answer, or 5xx, for as long as the client may retry.

    A write may have happened: repeating it with its `id` and `idempotency_key` is safe.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after_seconds: float = 0) -> None:
        super().__init__(message, status=status)
        self.retry_after_seconds = retry_after_seconds


class NotWritten(Unavailable):
    """503, and the Storage Service says that nothing was written; no other attempt of the write left that open.

    Never raised for a write that was given an idempotency key: an earlier call may have written under it.
    """

    def __init__(
        self, message: str, *, problem: str, status: int | None = None, retry_after_seconds: float = 0
    ) -> None:
        super().__init__(message, status=status, retry_after_seconds=retry_after_seconds)
        self.problem = problem
        """What the Storage Service calls it: fenced, standby, locked, conflict, overloaded, …"""


class Unauthorized(StorageError):
    """The token is missing or wrong."""


class Forbidden(StorageError):
    """The token is for another database."""


class NotFound(StorageError):
    """No such record, or it is deleted."""


class Conflict(StorageError):
    """The id exists already, or a reference is missing."""


class VersionMismatch(StorageError):
    """The record was changed since the version that the call names: read it again, decide again."""


class InvalidRequest(StorageError):
    """Unknown table or column, or a value that does not fit."""


class UnexpectedAnswer(StorageError):
    """Not an answer of the Storage Service."""
