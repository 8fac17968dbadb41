"""The backend after the cutover: the Storage Service, through its client library."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response
from storage_client import Conflict, InvalidRequest, NotFound, NotWritten, StorageClient, StorageError, Unavailable

from service_common.config import ConfigError, read_secret
from service_common.middleware import current_request_id
from service_common.problem import Problem, unavailable
from service_common.reference.backend import Records, StorageAddress


def open_client(address: StorageAddress | None) -> StorageClient:
    """A client with the token in `address`. Raises ConfigError."""
    if address is None:
        raise ConfigError("database.type storage_service needs the section storage: {url: …, token_file: …}.")
    try:
        return StorageClient(
            address.url,
            read_secret(address.token_file),
            retry_seconds=address.retry_seconds,
            retry_fenced=False,  # service_common.reference.fenced waits
            ca_file=address.ca_file,
            allow_plaintext=address.allow_plaintext,
            request_id=current_request_id.get,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"storage: {error}") from error


class RemoteBackend:
    """The records of typed clients that share `client`."""

    def __init__(self, client: StorageClient, records: Mapping[str, Records]) -> None:
        self._client = client
        self.records = records

    def install(self, app: FastAPI) -> None:
        async def storage_error(_request: Request, error: Exception) -> Response:
            return _problem(error).response()

        app.add_exception_handler(StorageError, storage_error)

    def is_fenced(self, error: Exception) -> bool:
        return isinstance(error, NotWritten) and error.problem == "fenced"

    async def health(self) -> dict[str, Any]:
        return {**await self._client.health(), "backend": "storage_service"}

    async def aclose(self) -> None:
        await self._client.aclose()


def _problem(error: Exception) -> Problem:
    match error:
        case NotWritten(problem=name):
            detail = "The Storage Service cannot write this now; nothing was written."
            return unavailable(name, detail, error.retry_after_seconds)
        case Unavailable():
            detail = "The Storage Service cannot do this now. A write may have happened."
            return unavailable("storage-unavailable", detail, error.retry_after_seconds or 1)
        case NotFound():
            return Problem(404, "not-found", "There is no such record, or it is deleted.")
        case Conflict():
            return Problem(409, "conflict", "The record exists already, or refers to one that does not exist.")
        case InvalidRequest(errors=errors):
            return Problem(422, "invalid-value", "The Storage Service refused a value.", errors=errors or None)
    return Problem(502, "storage-refused", f"The Storage Service refused this service ({type(error).__name__}).")
