"""What can go wrong, as one tree.

ConsolidationError
├── ConfigurationError     the inventory or an option is wrong
├── ConnectionFailed       a server could not be reached or refused us
├── StatementFailed        PostgreSQL refused a statement
├── RunInProgress          another process works on this database
├── StepRefused            the state of things does not allow this step
├── FenceError             a fence could not be closed, opened or proved
├── BackupError            a dump was not made, is damaged or does not restore to the same content
├── CopyError              rows did not arrive
├── VerificationFailed     the two sides differ, or could not be compared
└── ServiceError           a service is not seen where it should be

Every error says what happened and where (``message``) and what the operator does next (``hint``).
Neither carries row data or a secret.
"""

from __future__ import annotations

from typing import Any

import psycopg2
import psycopg2.errors


class ConsolidationError(Exception):
    """What happened and where; ``hint`` says what to do next, ``facts`` carries figures for machines."""

    def __init__(self, message: str, *, hint: str = "", facts: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts or {}

    def __str__(self) -> str:
        return f"{self.message}\nNext: {self.hint}" if self.hint else self.message


class ConfigurationError(ConsolidationError):
    """The inventory or an option is wrong."""


class ConnectionFailed(ConsolidationError):
    """A server could not be reached or refused us."""


class StatementFailed(ConsolidationError):
    """PostgreSQL refused a statement."""


class RunInProgress(ConsolidationError):
    """Another process works on this database."""


class StepRefused(ConsolidationError):
    """The state of things does not allow this step."""


class FenceError(ConsolidationError):
    """A fence could not be closed, opened or proved."""


class BackupError(ConsolidationError):
    """A dump was not made, is damaged or does not restore to the same content."""


class CopyError(ConsolidationError):
    """Rows did not arrive."""


class VerificationFailed(ConsolidationError):
    """The two sides differ, or could not be compared."""


class ServiceError(ConsolidationError):
    """A service is not seen where it should be."""


def describe(error: psycopg2.Error) -> str:
    """One line for a PostgreSQL error without row data.

    DETAIL and CONTEXT may quote rows (COPY does), and so may the primary message of a data exception
    (SQLSTATE class 22: ``invalid input syntax for type integer: "…"``): those are left out.
    """
    diag = error.diag
    state = error.pgcode
    if state is None:
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    where = ", ".join(
        f"{word} {name}"
        for word, name in (
            ("table", diag.table_name and f"{diag.schema_name}.{diag.table_name}"),
            ("column", diag.column_name),
            ("constraint", diag.constraint_name),
        )
        if name
    )
    text = type(error).__name__ if state.startswith("22") else (diag.message_primary or type(error).__name__)
    return f"{text} (SQLSTATE {state}{', ' + where if where else ''})"


def next_step(error: psycopg2.Error) -> str:
    """What the operator does about a PostgreSQL error, by its SQLSTATE, before the same command runs again."""
    state = error.pgcode or CONNECTION_LOST
    if state == "25006" and error.diag.constraint_name:  # our own fence; the server's read-only states name none
        return "name the role that closed this fence in consolidation_database, then run the same command again"
    step = max((code for code in _STEPS if state.startswith(code)), key=len, default="")
    return f"{_STEPS[step]}, then run the same command again"


CONNECTION_LOST = "08"
_STEPS = {
    "": "find the statement in the server's log (by the SQLSTATE and the time), correct what it names",
    CONNECTION_LOST: "check that the server runs and the network to it holds",
    "23": "correct the rows that break the named constraint",
    "25006": "name a server that takes writes: this one is a standby, or its role or database is set to read only",
    "28": "correct the role's password or pg_hba.conf",
    "40P01": "wait until the sessions that were in the way have ended",
    "42501": "grant the runbook's role what the message names (the README lists the grants)",
    "53": "give the server more of what the message names",
    "53100": "free space on the disk of that server",
    "53300": "end sessions that are not needed, or raise max_connections or the role's CONNECTION LIMIT",
    "55P03": "wait until the session that holds the lock has ended",
    "57014": "find out who cancelled the statement; where it was statement_timeout, raise it for the runbook's role",
    "57P": "find in the server's log why it ended the session, wait until it accepts connections",
    "58": "have the server's disk checked: its log names the file that could not be read or written",
    "XX": "have the server checked: its log names an internal fault or damaged data",
}
