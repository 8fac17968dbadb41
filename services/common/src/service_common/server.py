"""Start-up and shutdown, the same for every service."""

import argparse
import asyncio
import gc
import logging
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from service_common import logs, problem
from service_common.config import ConfigError, Model, ServerConfig, TlsConfig, load
from service_common.listening import BoundedServer
from service_common.middleware import RequestLimits, RequestLog

log = logging.getLogger(__name__)


def prepare(app: FastAPI, config: ServerConfig) -> FastAPI:
    """Give `app` the limits, the log line and the error documents that every service has."""
    problem.install(app)
    app.add_middleware(RequestLimits, config=config)
    app.add_middleware(RequestLog)
    return app


def main(model: type[Model], create_app: Callable[[Model], Any]) -> int:
    """`python -m SERVICE --config FILE`: serve until SIGTERM or SIGINT, then finish the requests under way.

    At SIGHUP the certificate is read again, and the configuration by an application that has `reload(settings)`; where
    the new one cannot be used, the log says so and the old one stays. Returns 2 for an unusable configuration; exits
    with 3 when the port cannot be taken. After an orderly end the process dies of the signal that it was sent, which
    service managers count as success.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {create_app.__module__.split('.')[0]}")
    parser.add_argument("--config", type=Path, required=True, help="YAML configuration file")
    arguments = parser.parse_args()
    logs.configure()
    # Before anything else: by default it would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        settings = load(arguments.config, model)
        server: ServerConfig = settings.server  # type: ignore[attr-defined]  # the settings of every service have it
        tls = _context(server.tls) if server.tls else None
        app = create_app(settings)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=server.keep_alive_seconds,
        timeout_graceful_shutdown=server.shutdown_timeout_seconds,
    )
    config.load()
    config.ssl = tls

    def reload() -> None:
        try:
            fresh = load(arguments.config, model)
            shown: TlsConfig | None = fresh.server.tls  # type: ignore[attr-defined]  # as above
            if tls and shown:
                # A pair that does not fit leaves a context without a key: it is tried on another one.
                _context(shown)
            if hasattr(app, "reload"):
                app.reload(fresh)
            if tls and shown:
                tls.load_cert_chain(shown.certificate, shown.key)
        except (ConfigError, OSError) as error:
            log.error("the configuration was not reloaded", extra={"fields": {"reason": str(error)}})
        else:
            log.info("the configuration was reloaded")

    def started() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)

    gc.freeze()  # what was imported stays; no collection need look at it
    gc.enable()
    BoundedServer(config, server, started).run()
    return 0


def _context(config: TlsConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[config.minimum_version]
    try:
        context.load_cert_chain(config.certificate, config.key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"cannot use the certificate {config.certificate} with the key {config.key}: {type(error).__name__}."
        ) from error
    return context
