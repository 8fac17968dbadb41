"""What carries a request to the Storage Service. Tests pass one of their own as `StorageClient(transport=…)`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class Request:
    """One HTTP request; `path` is encoded and begins with a slash."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Response:
    """One HTTP answer, complete."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""


class NoAnswer(Exception):
    """No complete answer came."""

    def __init__(self, reason: str, *, sent: bool, stale: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent
        """Whether the Storage Service may have seen the request."""
        self.stale = stale
        """Whether an idle connection turned out to be closed: a new one is worth a try at once."""


class Transport(Protocol):
    """Carries requests."""

    async def send(self, request: Request, timeout_seconds: float) -> Response:
        """The complete answer. Raises NoAnswer, after `timeout_seconds` at the latest."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
