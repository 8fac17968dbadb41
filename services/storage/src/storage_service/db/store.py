"""Reads and writes of one table: a page of rows, a write, a write that is done once however often it is sent."""

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import InterfaceError, PostgresError  # type: ignore[import-untyped]  # no type information
from service_common.postgres import problem_of, sqlstate_of
from service_common.problem import Problem, unavailable
from sqlalchemy import Table

from storage_service.db.page import Page
from storage_service.db.pool import NotSent, Pool
from storage_service.db.statements import IN_RECOVERY, RECALL, Ordering, Statement, Statements

log = logging.getLogger(__name__)
KEPT_SHAPES = 1000
"""Of a table: texts of statements that are kept; a caller could ask for endless ones."""
ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes two requests the same one."""

    service: str
    key: str
    request_sha256: bytes

    @classmethod
    def of(cls, service: str, key: str, head: str, body: bytes) -> "RequestKey":
        """The key of a request; its digest covers `head` (method, path, If-Match) and body."""
        return cls(service, key, hashlib.sha256(head.encode() + b"\n" + body).digest())


@dataclass(slots=True)
class Written:
    """A row as JSON text, and its version."""

    text: str
    version: str


@dataclass(frozen=True)
class TableStore:
    """One served table of the storage database."""

    table: Table
    schema: str
    pool: Pool
    byte_limit: int
    """Of a page, about."""
    _shapes: dict[Any, Statement] = field(default_factory=dict)

    async def get(self, id: UUID) -> Written:
        """The row. Raises Problem 404 when there is none or it is deleted."""
        statement = self._shape(("get",), lambda build: build.get(deleted=False))
        return _one(await self._read(statement, {"id": id}))

    async def page(self, filters: Mapping[str, Any], order_by: Sequence[str], limit: int, cursor: str | None) -> bytes:
        """One page as JSON text."""
        values: dict[str, Any] = {**filters, "limit": limit, "byte_limit": self.byte_limit}
        ordering = Ordering.parse(order_by)
        nulls = None
        if cursor is not None:
            after = _decode_cursor(cursor, _fingerprint(filters, order_by), len(ordering))
            nulls = tuple(text is None for text in after)
            values |= {f"after_{number}": text for number, text in enumerate(after)}
        nothing = tuple([(name, value is None) for name, value in filters.items()])
        shape = ("page", nothing, tuple(order_by), nulls)
        page = await self._page(shape, lambda build, cut: build.page(dict(nothing), ordering, nulls, cut=cut), values)
        if page.next_after is None:
            return page.text()
        row = ROW.decode(page.next_after)
        last = [_text(row[by.name]) for by in ordering]
        return page.text(f'"{_encode_cursor(_fingerprint(filters, order_by), last)}"'.encode())

    async def many(self, ids: Sequence[UUID]) -> bytes:
        """As page, the rows with these ids that are not deleted; next_cursor: the last id where there are more."""
        values = {"ids": ids, "limit": len(ids), "byte_limit": self.byte_limit}
        page = await self._page(("many",), lambda build, cut: build.many(cut=cut), values)
        return page.text() if page.next_after is None else page.text(bytes(ROW.decode(page.next_after)["id"]))

    async def create(self, values: Mapping[str, Any], key: RequestKey | None) -> Written:
        """Insert a row."""
        names, once = tuple(values), key is not None
        statement = self._shape(("create", names, once), lambda build: build.create(names, once=once))
        return _one(await self._write(statement, values, key, [values["id"]]))

    async def create_many(self, names: tuple[str, ...], rows: Sequence[Sequence[Any]], key: RequestKey | None) -> bytes:
        """Insert rows in one transaction: all or none. The answer is like a page."""
        values = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        once = key is not None
        statement = self._shape(("many", names, once), lambda build: build.create_many(names, once=once))
        return Page.of(await self._write(statement, values, key, values["id"])).text()

    async def change(
        self, id: UUID, values: Mapping[str, Any], versions: Sequence[str] | None, key: RequestKey | None
    ) -> Written:
        """Update a row. Raises Problem 404, or 412 where its version is none of `versions`."""
        names, once, checked = tuple(values), key is not None, versions is not None
        shape = ("change", names, once, checked)
        statement = self._shape(shape, lambda build: build.change(names, once=once, versions=checked))
        return _one(await self._write(statement, {**values, "id": id, "versions": versions}, key, [id]))

    async def soft_delete(self, id: UUID, versions: Sequence[str] | None, key: RequestKey | None) -> Written:
        """Mark a row as deleted; as change."""
        once, checked = key is not None, versions is not None
        statement = self._shape(("delete", once, checked), lambda build: build.soft_delete(once=once, versions=checked))
        return _one(await self._write(statement, {"id": id, "versions": versions}, key, [id]))

    async def _page(
        self, shape: tuple[Any, ...], build: Callable[[Statements, bool], Statement], values: Mapping[str, Any]
    ) -> Page:
        """Where all rows are small, as they mostly are, `limit` of them fit, and nobody has to count their bytes."""
        statement = self._shape(shape, lambda statements: build(statements, False))
        [found] = await self._read(statement, values)
        if (page := Page.of_small(found)) is not None:
            return page
        rows = await self._read(self._shape((*shape, "cut"), lambda statements: build(statements, True)), values)
        fitting = [row for row in rows[: values["limit"]] if row[0] is not None]
        return Page.of(fitting, more=len(fitting) < len(rows))

    def _shape(self, shape: Any, build: Any) -> Statement:
        if (statement := self._shapes.get(shape)) is None:
            if len(self._shapes) >= KEPT_SHAPES:
                self._shapes.clear()
            statement = self._shapes[shape] = build(Statements(self.table, self.schema))
        return statement

    async def _read(self, statement: Statement, values: Mapping[str, Any]) -> list[Any]:
        try:
            return await self.pool.fetch(statement.sql, *statement.arguments(values))
        except (PostgresError, InterfaceError, NotSent, OSError) as error:
            raise _problem(error) from error

    async def _write(
        self, statement: Statement, values: Mapping[str, Any], key: RequestKey | None, ids: Sequence[Any]
    ) -> list[Any]:
        """The rows as they are now. With a key: where this was done before, nothing happens again.

        That is looked up only when the write itself is refused, because a write that happened before always refuses to
        happen again under its key. Where the look fails, nobody knows: that is never "nothing was written". Where the
        write did not get as far as the database, the answer is about this request alone: its sender knows the others.
        """
        if key is not None:
            known = {"key_service": key.service, "key_key": key.key, "key_sha256": key.request_sha256}
            values = {**values, **known}
        try:
            rows = await self.pool.fetch(statement.sql, *statement.arguments(values))
            if rows:
                return rows
            problem = await self._nothing_changed(values)
        except (PostgresError, InterfaceError, OSError) as error:
            problem = await self._refused(error)
        except NotSent as error:
            raise _problem(error) from error
        if key is not None and (done := await self._done_before(key, ids)) is not None:
            return done
        raise problem

    async def _nothing_changed(self, values: Mapping[str, Any]) -> Problem:
        if values.get("versions") is not None:
            statement = self._shape(("get",), lambda build: build.get(deleted=False))
            if await self._read(statement, {"id": values["id"]}):
                return Problem(412, "version-mismatch", "The record was changed since the version in If-Match.")
        return _no_such_record()

    async def _refused(self, error: Exception) -> Problem:
        if sqlstate_of(error) == "25006":
            # Refused by the fence's trigger, or because the database is a standby.
            try:
                [[standby]] = await self.pool.fetch(IN_RECOVERY)
            except (PostgresError, InterfaceError, NotSent, OSError, Problem):
                standby = False
            if standby:
                return unavailable("standby", "The database is a standby, read-only; nothing was written.", 1)
        return _problem(error)

    async def _done_before(self, key: RequestKey, ids: Sequence[Any]) -> list[Any] | None:
        """The rows of the write that was done under this key, as they are now; None when there was none."""
        try:
            known = await self.pool.fetch(RECALL, key.service, key.key)
            if not known:
                return None
            if not hmac.compare_digest(known[0][0], key.request_sha256):
                detail = "This Idempotency-Key was used for another request. Use a new key for every new write."
                raise Problem(422, "idempotency-key-reused", detail)
            statement = self._shape(("many_known",), lambda build: build.many_known())
            rows = await self.pool.fetch(statement.sql, ids)
        except Problem as error:
            if error.name != "overloaded":
                raise
            raise _unknown() from error
        except (PostgresError, InterfaceError, NotSent, OSError) as error:
            raise _unknown() from error
        if not rows:
            raise Problem(410, "gone", "The write was done, and the record has been removed since.")
        return rows


def _unknown() -> Problem:
    detail = "Whether this was written could not be found out. Send it again with the same Idempotency-Key."
    return unavailable("outcome-unknown", detail, 0.3)


def _problem(error: Exception) -> Problem:
    if isinstance(error, NotSent):
        log.warning("no connection to the database", extra={"fields": {"error": type(error.__cause__).__name__}})
        return unavailable("database-away", "The database cannot be reached; this request wrote nothing.", 0.5)
    problem = problem_of(error)
    if problem is None or problem.status_code == 503:
        fields = {"error": type(error).__name__, "sqlstate": sqlstate_of(error)}
        log.warning("database error", extra={"fields": fields})
    if problem is None:
        return Problem(500, "internal-error", f"The database refused the statement ({sqlstate_of(error)}).")
    return problem


def _no_such_record() -> Problem:
    return Problem(404, "not-found", "There is no such record, or it is deleted.")


def _one(rows: list[Any]) -> Written:
    if not rows:
        raise _no_such_record()
    return Written(rows[0][0], rows[0][1])


def _text(raw: msgspec.Raw) -> str | None:
    """An ordering value as PostgreSQL reads it back."""
    value = msgspec.json.decode(raw)
    return value if value is None or isinstance(value, str) else bytes(raw).decode()


def _fingerprint(filters: Mapping[str, Any], order_by: Sequence[str]) -> str:
    shape = json.dumps([list(order_by), sorted((name, str(value)) for name, value in filters.items())])
    return hashlib.sha256(shape.encode()).hexdigest()[:16]


def _encode_cursor(fingerprint: str, texts: Sequence[str | None]) -> str:
    """Where the next page begins: after the row with these ordering values."""
    return base64.urlsafe_b64encode(json.dumps([fingerprint, *texts]).encode()).decode()


def _decode_cursor(cursor: str, fingerprint: str, count: int) -> list[str | None]:
    """The ordering values in a cursor. Raises Problem for what is no cursor of this query."""
    try:
        decoded = msgspec.json.decode(base64.b64decode(cursor, altchars=b"-_", validate=True), type=list[str | None])
    except (ValueError, RecursionError):
        decoded = []
    if len(decoded) != 1 + count or decoded[0] != fingerprint:
        detail = "The cursor is not one of this query: send next_cursor with the same filters and order_by."
        raise Problem(422, "invalid-cursor", detail)
    return decoded[1:]
