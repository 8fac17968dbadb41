"""Errors as RFC 9457 problem documents: what happened, where, what to do. Never row data, never a secret."""

import json
import logging
import traceback
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class ProblemDocument(BaseModel):
    """The shape of every error's body."""

    type: str = Field(examples=["urn:problem:not-found"])
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = Field(default=None, description="one entry per wrong field")


class Problem(HTTPException):
    """An error that the client is told about."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.name = name
        self.errors = errors

    def response(self) -> Response:
        document: dict[str, Any] = {
            "type": f"urn:problem:{self.name}",
            "title": self.name.replace("-", " "),
            "status": self.status_code,
            "detail": self.detail,
        }
        if self.errors is not None:
            document["errors"] = self.errors
        return Response(json.dumps(document), self.status_code, self.headers, MEDIA_TYPE)


def unavailable(name: str, detail: str, retry_after_seconds: int = 1) -> Problem:
    """A 503: nothing was written, the same request may be sent again after `retry_after_seconds`."""
    return Problem(503, name, detail, headers={"Retry-After": str(retry_after_seconds)})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that may answer with problems of these statuses."""
    return {status: {"content": {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}} for status in statuses}


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
        faults = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()]
        return Problem(
            422, "invalid-request", "The request does not fit this service's schema.", errors=faults
        ).response()

    async def unexpected(request: Request, error: Exception) -> Response:
        # The text of an exception may carry row data: its type and its frames are all that is logged.
        log.error(
            "unexpected error",
            extra={
                "fields": {
                    "method": request.method,
                    "path": request.url.path,
                    "error": type(error).__name__,
                    "frames": traceback.format_tb(error.__traceback__)[-5:],
                }
            },
        )
        return Problem(500, "internal-error", "The service failed unexpectedly; its log says where.").response()

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)
