"""The port: uvicorn's server with the limits of `connections`, on the TLS handshake too."""

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

import uvicorn

from service_common import handover
from service_common.config import ServerConfig
from service_common.connections import BoundedHttp, Connections

START_FAILED = 3
TICK_SECONDS = 0.02


class Handshake(asyncio.Protocol):
    """A connection until its TLS handshake is done: counted like any other, and closed for another like one.

    asyncio's own handshake lies between accept and the protocol, where nobody counts. Here it begins on the same
    socket once that has been counted.
    """

    def __init__(
        self, protocol: Callable[[], BoundedHttp], tls: ssl.SSLContext, seconds: float, connections: Connections
    ) -> None:
        self._protocol = protocol
        self._tls = tls
        self._seconds = seconds
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        try:
            accepted = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        finally:
            transport.abort()  # type: ignore[attr-defined]  # this end of it alone
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(accepted))
        self._connections.add(self)

    def abort(self) -> None:
        self._task.cancel()

    async def _shake_hands(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        accepted.setblocking(False)
        try:
            await loop.connect_accepted_socket(
                self._protocol, accepted, ssl=self._tls, ssl_handshake_timeout=self._seconds
            )
        except OSError:  # ssl.SSLError and TimeoutError are some
            pass
        finally:
            self._connections.remove(self)


class BoundedServer(uvicorn.Server):
    """uvicorn's server on one port, with the limits of `BoundedHttp` and on the TLS handshake."""

    def __init__(self, config: uvicorn.Config, server: ServerConfig, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._server = server
        self._on_start = on_start
        self._store: handover.Store | None = None

    async def startup(self, sockets: Any = None) -> None:  # noqa: ARG002 - uvicorn's signature
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(START_FAILED)
        store, inherited = handover.Store.of_this_process(), handover.inherited()
        connections = Connections.within(self._server, store)
        loop = asyncio.get_running_loop()

        def plain() -> BoundedHttp:
            state, app_state = self.server_state, self.lifespan.state
            return BoundedHttp(self._server, connections, config=self.config, server_state=state, app_state=app_state)

        def encrypted() -> Handshake:
            assert self.config.ssl is not None  # noqa: S101 - narrows the type
            return Handshake(plain, self.config.ssl, self._server.head_timeout_seconds, connections)

        protocol = encrypted if self.config.ssl else plain
        try:
            listening = await loop.create_server(protocol, **self._address(inherited.listening), backlog=2048)
        except OSError as error:
            sys.stderr.write(f"cannot listen on {self._server.host}:{self._server.port}: {error.strerror or error}\n")
            await self.lifespan.shutdown()
            sys.exit(START_FAILED)
        self.servers = [listening]
        self._store = store
        if store is not None and inherited.connections:
            store.forget()
        for passed, unanswered in inherited.connections:
            _, connection = await loop.connect_accepted_socket(plain, passed)
            connection.resume(unanswered)
        self.started = True
        self._on_start()

    def _address(self, passed: socket.socket | None) -> dict[str, Any]:
        """Raises OSError."""
        if passed is None:
            return {"host": self._server.host, "port": self._server.port}
        if (port := passed.getsockname()[1]) != self._server.port:
            raise OSError(f"the socket that was passed in has port {port}: correct the one or the other")
        return {"sock": passed}

    async def shutdown(self, sockets: Any = None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Accept no more, answer what is under way. uvicorn's own takes 0.2 s, in which no one is served."""
        for server in self.servers:
            server.close()
        handover.ending.set()
        for connection in [*self.server_state.connections]:
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await asyncio.sleep(TICK_SECONDS)  # connections that were accepted just before
                while (self.server_state.connections or self.server_state.tasks) and not self.force_exit:
                    await asyncio.sleep(TICK_SECONDS)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        if self._store is not None:
            self._store.settle()
        if not self.force_exit:
            await self.lifespan.shutdown()
