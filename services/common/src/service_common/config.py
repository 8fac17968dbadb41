"""The services' configuration files: YAML, checked by Pydantic before anything starts."""

import ipaddress
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Model = TypeVar("Model", bound=BaseModel)


class ConfigError(Exception):
    """The configuration file cannot be used; the message says where and what to do, never a value."""


class Section(BaseModel):
    """A part of the configuration in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsConfig(Section):
    """The certificate that the service shows. Both files are read again at SIGHUP."""

    certificate: Path
    """PEM, the intermediate certificates behind the service's own."""
    key: Path
    minimum_version: Literal["1.2", "1.3"] = "1.2"


class ServerConfig(Section):
    """Where the service listens and what it lets a client do."""

    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    tls: TlsConfig | None = None
    allow_plaintext: bool = False
    """Serve tokens without TLS on more than the loopback: only where a proxy on the same machine ends TLS."""
    body_limit_bytes: int = Field(default=1_048_576, gt=0)
    header_limit_bytes: int = Field(default=32_768, gt=0)
    head_timeout_seconds: float = Field(default=10, gt=0)
    """How long a connection may take to send the head of a request, the TLS handshake too."""
    request_timeout_seconds: float = Field(default=15, gt=0)
    """How long a request may take from its head to the end of its answer."""
    keep_alive_seconds: int = Field(default=75, gt=0)
    """An idle connection is closed; clients should do so earlier (the Storage Service's does after 20 s)."""
    max_connections: int = Field(default=1000, gt=0)
    """Above it the oldest connection that has not authenticated is closed for the new one."""
    shutdown_timeout_seconds: int = Field(default=10, gt=0)
    """How long requests under way may take to finish after SIGTERM."""


class PostgresConfig(Section):
    """A PostgreSQL connection by keyword. The password stands in a file of its own, read at every connect."""

    host: str
    port: int = Field(default=5432, ge=1, le=65535)
    dbname: str
    user: str
    passfile: Path | None = None
    """libpq's format, mode 0600."""
    password_file: Path | None = None
    """Only the password, as secret stores mount it."""
    sslmode: str = Field(default="prefer", pattern="^(disable|allow|prefer|require|verify-ca|verify-full)$")
    sslrootcert: Path | None = None
    pool_size: int = Field(default=10, gt=0)
    pool_timeout_seconds: float = Field(default=2, gt=0)
    """How long a request waits for a free connection."""
    connect_timeout_seconds: float = Field(default=3, gt=0)
    statement_timeout_seconds: float = Field(default=5, gt=0)
    lock_timeout_seconds: float = Field(default=2, gt=0)
    """How long a statement waits for a lock; shorter than the statement's own limit, so that one locked row does not
    keep all connections."""

    @model_validator(mode="after")
    def _one_password(self) -> "PostgresConfig":
        if self.passfile and self.password_file:
            raise ValueError("give passfile or password_file, not both")
        if self.sslmode.startswith("verify-") and not self.sslrootcert:
            raise ValueError(f"sslmode {self.sslmode} needs sslrootcert")
        return self


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine: no packet to it leaves the machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(path: Path, model: type[Model]) -> Model:
    """Read `path` as `model`. Raises ConfigError; its message names keys, never values."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}. Give an existing file with --config.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path} is not valid YAML{where}. Correct the file and start again.") from error
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, fault['loc'])) or '(top level)'}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError(f"{path} is not a valid configuration:\n" + "\n".join(faults)) from error


def read_secret(path: Path) -> str:
    """The one line of a secret file, without its line end. Raises ConfigError."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the secret in {path}: {type(error).__name__}.") from error
    if not secret:
        raise ConfigError(f"the secret file {path} is empty.")
    return secret
