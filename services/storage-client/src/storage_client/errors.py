"""What can go wrong, as one tree.

StorageError
├── Unavailable         no answer, or 503, for as long as the client may retry
│   └── NotWritten      503, and certainly nothing was written: the table is fenced or locked, …
├── Unauthorized        the token is missing or wrong (401)
├── Forbidden           the token is for another database (403)
├── NotFound            no such record, or it is deleted (404)
├── Conflict            the key exists already, or a reference is missing (409)
├── InvalidRequest      unknown table or column, or a value that does not fit (400, 404 of a path, 413, 422)
└── UnexpectedAnswer    not an answer of the Storage Service

Messages carry what the service says about the request, never row data or the token.
"""

from typing import Any


class StorageError(Exception):
    """The Storage Service did not do what was asked."""

    def __init__(self, message: str, *, status: int | None = None, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status, None when there was no answer."""
        self.errors = errors or []
        """One entry per wrong field: {"field": …, "message": …}."""


class Unavailable(StorageError):
    """No answer, or 503, for as long as the client may retry.

    A write may have happened when there was no answer: repeating it with `idempotency_key` is safe.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after_seconds: float = 0) -> None:
        super().__init__(message, status=status)
        self.retry_after_seconds = retry_after_seconds
        self.idempotency_key: str | None = None


class NotWritten(Unavailable):
    """503, and the Storage Service says that nothing was written; no other attempt of the call left that open."""

    def __init__(
        self, message: str, *, problem: str, status: int | None = None, retry_after_seconds: float = 0
    ) -> None:
        super().__init__(message, status=status, retry_after_seconds=retry_after_seconds)
        self.problem = problem
        """What the Storage Service calls it: fenced, locked, conflict or overloaded."""


class Unauthorized(StorageError):
    """The token is missing or wrong."""


class Forbidden(StorageError):
    """The token is for another database."""


class NotFound(StorageError):
    """No such record, or it is deleted."""


class Conflict(StorageError):
    """The key exists already, or a reference is missing."""


class InvalidRequest(StorageError):
    """Unknown table or column, or a value that does not fit."""


class UnexpectedAnswer(StorageError):
    """Not an answer of the Storage Service."""
