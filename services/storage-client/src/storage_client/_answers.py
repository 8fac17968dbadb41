"""What an answer other than success means."""

from typing import Any

from storage_client import _json, errors
from storage_client.transport import Response

NOTHING_WRITTEN = {
    "fenced", "standby", "locked", "conflict", "overloaded", "statement-timeout", "grant-missing", "database-away"
}  # fmt: skip
"""The problems of a 503 that promise it. "timeout" and "outcome-unknown" are none of them."""
_BY_STATUS: dict[int, type[errors.StorageError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.InvalidRequest,
    409: errors.Conflict,
    410: errors.NotFound,
    412: errors.VersionMismatch,
    413: errors.InvalidRequest,
    415: errors.InvalidRequest,
    422: errors.InvalidRequest,
}
PREFIX = "urn:problem:"
"""Of the types of the Storage Service's problem documents."""
_OF_RECORDS = {404, 409, 410, 412}
"""What is said of a record counts where the Storage Service says it: a proxy, or another service there, knows none."""


def answered(response: Response, request: str) -> errors.StorageError:
    """The error that `response` to `request` is."""
    try:
        content = _json.loads(response.body)
    except ValueError:
        content = None
    document: dict[str, Any] = content if isinstance(content, dict) else {}
    is_ours = str(document.get("type")).startswith(PREFIX)
    name = str(document.get("type")).removeprefix(PREFIX)
    message = f"{request}: {response.status} {document.get('detail', '')}".rstrip()
    if response.status in {429, 502, 503, 504}:
        seconds = _retry_after(response, document)
        if response.status == 503 and name in NOTHING_WRITTEN:
            return errors.NotWritten(message, problem=name, status=503, retry_after_seconds=seconds)
        return errors.Unavailable(message, status=response.status, retry_after_seconds=seconds)
    kind = _BY_STATUS.get(response.status, errors.UnexpectedAnswer)
    if name == "no-such-path":
        kind = errors.InvalidRequest
    elif response.status in _OF_RECORDS and not is_ours:
        kind = errors.UnexpectedAnswer
    return kind(message, status=response.status, errors=document.get("errors"))


def _retry_after(response: Response, document: dict[str, Any]) -> float:
    """Of the problem document, which has fractions of a second; else of the header."""
    try:
        return min(float(document.get("retry_after_seconds", "none")), 3600)
    except (TypeError, ValueError):
        text = response.headers.get("retry-after", "")
        return min(float(text), 3600) if text.isdecimal() else 0
