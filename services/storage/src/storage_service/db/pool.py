"""Connections to the storage database: a few for each served database, so that none has to wait for another's locks."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # asyncpg ships no type information
from service_common.problem import unavailable

STATEMENTS = 500
"""Prepared statements a connection keeps."""


ENDED = ("08", "57P")
"""SQLSTATEs with which a connection ends, though it may not know yet."""


class NotSent(Exception):
    """There was no connection: the statement has not reached the database."""


@dataclass
class Pool:
    """At most `size` connections, opened as needed. Every statement is a transaction of its own."""

    connect: Callable[[], Coroutine[Any, Any, Any]]
    size: int
    wait_seconds: float
    """How long a statement waits for a connection."""
    in_use: int = 0
    _open: int = 0
    _idle: list[Any] = field(default_factory=list)
    _waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """The rows. Raises Problem `overloaded`, NotSent, asyncpg's and the system's errors."""
        connection = await self._take()
        self.in_use += 1
        try:
            rows: list[Any] = await connection.fetch(sql, *arguments)
            return rows
        except asyncpg.PostgresError as error:
            if error.sqlstate and error.sqlstate.startswith(ENDED):
                self._discard(connection)
                connection = None
            raise
        except BaseException:
            # Cut off: what the connection would say next belongs to this statement.
            self._discard(connection)
            connection = None
            raise
        finally:
            self.in_use -= 1
            if connection is not None:
                self._give_back(connection)

    @property
    def busy(self) -> bool:
        """Whether statements wait."""
        return bool(self._waiting)

    async def aclose(self) -> None:
        """Close what is idle; the others close when they come back."""
        self.size = 0
        idle, self._idle = self._idle, []
        for connection in idle:
            self._discard(connection)
        while self._closing:
            await asyncio.wait(self._closing)

    async def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
        if self._open < max(self.size, 1):
            return await self._connect()
        # First come, first served: a connection that comes back is handed to who has waited longest.
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append(place)
        late = loop.call_later(self.wait_seconds, _too_late, place)
        try:
            connection = await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._pass_on(place.result())
            raise
        finally:
            late.cancel()
        return connection if connection is not None else await self._connect(reserved=True)

    async def _connect(self, *, reserved: bool = False) -> Any:
        self._open += not reserved
        try:
            return await self.connect()
        except BaseException as error:
            self._pass_on(None)
            if isinstance(error, OSError | asyncpg.PostgresError | asyncpg.InterfaceError):
                raise NotSent from error
            raise

    def _give_back(self, connection: Any) -> None:
        if connection.is_closed() or self._open > self.size:
            self._discard(connection)
        else:
            self._pass_on(connection)

    def _discard(self, connection: Any) -> None:
        if not connection.is_closed():
            # Waits until the server has answered the request to cancel, then says good-bye.
            closing = asyncio.get_running_loop().create_task(_close(connection))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._pass_on(None)

    def _pass_on(self, connection: Any) -> None:
        """To who has waited longest: a connection, or (None) the room for a new one."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)
        else:
            self._open -= 1


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


def _too_late(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_exception(
            unavailable("overloaded", "All database connections are in use; this request wrote nothing.", 0.3)
        )
