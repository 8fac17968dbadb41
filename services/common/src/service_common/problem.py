"""Errors as RFC 9457 problem documents: what happened, where, what to do. Never row data, never a secret."""

import json
import logging
import math
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20


class ProblemDocument(BaseModel):
    """The shape of every error's body."""

    type: str = Field(examples=["urn:problem:not-found"])
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = Field(default=None, description="one entry per wrong field, at most 20")
    retry_after_seconds: float | None = Field(default=None, description="of a 503; finer than Retry-After")


class Problem(HTTPException):
    """An error that the client is told about."""

    def __init__(  # noqa: PLR0913 - the document's members
        self,
        status: int,
        name: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(status, bounded(detail), headers)
        self.name = name
        self.errors = errors
        self.retry_after_seconds = retry_after_seconds

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        document: dict[str, Any] = {
            "type": f"urn:problem:{self.name}",
            "title": self.name.replace("-", " "),
            "status": self.status_code,
            "detail": self.detail,
        }
        if self.errors is not None:
            document["errors"] = [
                {field: bounded(text) for field, text in error.items()} for error in self.errors[:MAX_ERRORS]
            ]
        if self.retry_after_seconds is not None:
            document["retry_after_seconds"] = self.retry_after_seconds
        return document

    def response(self) -> Response:
        return Response(json.dumps(self.document()), self.status_code, self.headers, MEDIA_TYPE)


def unavailable(name: str, detail: str, retry_after_seconds: float = 1) -> Problem:
    """A 503: the same request may be sent again after `retry_after_seconds`."""
    whole = str(max(1, math.ceil(retry_after_seconds)))
    return Problem(503, name, detail, headers={"Retry-After": whole}, retry_after_seconds=round(retry_after_seconds, 3))


def bounded(text: str, length: int = 300) -> str:
    """A message may repeat what a client sent, but not all of it."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def of_faults(faults: Iterable[Mapping[str, Any]], *before: str) -> Problem:
    """The 422 for the faults that Pydantic found in what is called `before` in the request."""
    errors = [{"field": ".".join(map(str, (*before, *fault["loc"]))), "message": str(fault["msg"])} for fault in faults]
    return Problem(422, "invalid-request", "The request does not fit this service's schema.", errors=errors)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that may answer with problems of these statuses."""
    return {status: {"content": {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}} for status in statuses}


def unexpected_error(error: BaseException, method: str, path: str) -> Problem:
    """The 500 for a fault of ours, which is logged."""
    # The text of an exception may carry row data: its type and its frames are all that is logged.
    fields = {
        "method": method,
        "path": bounded(path),
        "error": type(error).__name__,
        "frames": traceback.format_tb(error.__traceback__)[-5:],
    }
    log.error("unexpected error", extra={"fields": fields})
    return Problem(500, "internal-error", "The service failed unexpectedly; its log says where.")


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    async def problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - narrows the type; Starlette dispatches by class
        return error.response()

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        names = {404: "not-found", 405: "method-not-allowed"}
        detail = f"{request.method} {request.url.path}: {error.detail}. See /openapi.json for what this service offers."
        headers = dict(error.headers) if error.headers else None
        return Problem(
            error.status_code, names.get(error.status_code, "bad-request"), detail, headers=headers
        ).response()

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        return of_faults(error.errors()).response()

    async def unexpected(request: Request, error: Exception) -> Response:
        return unexpected_error(error, request.method, request.url.path).response()

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)
