"""Start-up and shutdown, the same for every service."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from service_common import logs, problem
from service_common.config import ConfigError, Model, ServerConfig, load
from service_common.middleware import RequestLimits, RequestLog


def prepare(app: FastAPI, config: ServerConfig) -> FastAPI:
    """Give `app` the limits, the log line and the error documents that every service has."""
    problem.install(app)
    app.add_middleware(RequestLimits, config=config)
    app.add_middleware(RequestLog)
    return app


def main(model: type[Model], create_app: Callable[[Model], FastAPI]) -> int:
    """`python -m SERVICE --config FILE`: serve until SIGTERM or SIGINT, then finish the requests under way.

    Returns 2 for an unusable configuration; exits with 3 when the port cannot be taken. After an orderly end the
    process dies of the signal that it was sent, which service managers count as success.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {create_app.__module__.split('.')[0]}")
    parser.add_argument("--config", type=Path, required=True, help="YAML configuration file")
    arguments = parser.parse_args()
    logs.configure()
    try:
        settings = load(arguments.config, model)
        app = create_app(settings)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    server: ServerConfig = settings.server  # type: ignore[attr-defined]  # the settings of every service have it
    uvicorn.run(
        app,
        host=server.host,
        port=server.port,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=server.shutdown_timeout_seconds,
    )
    return 0
