"""One bearer token per calling service, stored as its SHA-256, good for one database.

`python -m storage_service.auth` prints a new token on stdout and its hash on stderr, for the two configuration files.
"""

import hashlib
import hmac
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from service_common.problem import Problem

from storage_service.config import CallerConfig

_bearer = HTTPBearer(auto_error=False, description="The calling service's token")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def token_sha256(token: str) -> str:
    """What the configuration stores. A plain hash suffices: the token is 256 random bits, not a password."""
    return hashlib.sha256(token.encode()).hexdigest()


def caller_of(callers: dict[str, CallerConfig], database: str) -> Callable[..., Awaitable[str]]:
    """A dependency: the name of the calling service, which must be one of `database`'s. 401 and 403 otherwise."""

    async def authenticate(request: Request, credentials: Credentials) -> str:
        digest = token_sha256(credentials.credentials) if credentials else ""
        # Every hash is compared, in constant time.
        names = [name for name, caller in callers.items() if hmac.compare_digest(digest, caller.token_sha256)]
        if not names:
            detail = "Send this service's token as 'Authorization: Bearer …'."
            raise Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
        request.state.caller = names[0]
        if callers[names[0]].database != database:
            raise Problem(403, "forbidden", f"{names[0]} may not use database {database}.")
        return names[0]

    return authenticate


if __name__ == "__main__":
    token = secrets.token_urlsafe(32)
    sys.stdout.write(f"{token}\n")
    sys.stderr.write(f"token_sha256: {token_sha256(token)}\n")
