"""One bearer token per calling service, stored as its SHA-256, good for one database.

`python -m storage_service.auth` prints a new token on stdout and its hash on stderr, for the two configuration files.
"""

import hashlib
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from service_common.problem import Problem

from storage_service.config import CallerConfig


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that has shown its token."""

    name: str
    database: str


class Callers:
    """Who may call, found by the hash of the token."""

    def __init__(self, callers: Mapping[str, CallerConfig]) -> None:
        # A hash is looked up, not compared: how long that takes says nothing about the token it is of.
        self._by_hash = {caller.token_sha256: Caller(name, caller.database) for name, caller in callers.items()}

    def authenticate(self, authorization: bytes) -> Caller:
        """Who sent this header. Raises Problem 401."""
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and (caller := self._by_hash.get(hashlib.sha256(token.strip()).hexdigest())):
            return caller
        detail = "Send this service's token as 'Authorization: Bearer …'."
        raise Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def token_sha256(token: str) -> str:
    """What the configuration stores. A plain hash suffices: the token is 256 random bits, not a password."""
    return hashlib.sha256(token.encode()).hexdigest()


if __name__ == "__main__":
    token = secrets.token_urlsafe(32)
    sys.stdout.write(f"{token}\n")
    sys.stderr.write(f"token_sha256: {token_sha256(token)}\n")
