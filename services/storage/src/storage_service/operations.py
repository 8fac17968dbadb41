"""The operations on one served table: what a request asks for, and the answer."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import msgspec
from pydantic import BaseModel, ValidationError
from service_common.problem import Problem, of_faults

from storage_service.auth import Caller
from storage_service.db.columns import ColumnReader, Members, members_of, readers
from storage_service.db.exact_json import RawJson, split_object
from storage_service.db.schemas import MANAGED, MAX_LIMIT, Ids, TableSchemas, Values, parse
from storage_service.db.store import RequestKey, TableStore, Written

_KEY = re.compile(rb"[!-~]{1,255}")
_ETAG = re.compile(r'\s*(W/)?"([^"\x00-\x20\x7f]*)"\s*')


@dataclass(slots=True)
class Request:
    """A request by a caller who may use the table."""

    caller: Caller
    method: str
    path: str
    """Without the version of the API."""
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(slots=True)
class Answer:
    """An answer of success."""

    body: bytes
    status: int = 200
    version: str | None = None


Route = tuple[str, Callable[[Request], Awaitable[Answer]]]
_ID = "{id}"
_WORDS = {None, "query", "read", "batch"}
"""What stands behind a table and is no id; None: nothing."""


class _Query(msgspec.Struct, forbid_unknown_fields=True):
    """A query as it should be; anything else is read by the Pydantic schema, which has the last word."""

    filters: dict[str, msgspec.Raw] = {}
    order_by: list[str] = []
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 100
    cursor: str | None = None


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    rows: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_LIMIT)]


class _Ids(msgspec.Struct, forbid_unknown_fields=True):
    ids: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=MAX_LIMIT)]


_QUERY = msgspec.json.Decoder(_Query)
_BATCH = msgspec.json.Decoder(_Batch)
_IDS = msgspec.json.Decoder(_Ids)
_NOT_PLAIN = (ValueError, msgspec.MsgspecError, RecursionError, KeyError)


@dataclass
class TableOperations:
    """Requests for one table."""

    schemas: TableSchemas
    store: TableStore
    columns: dict[str, ColumnReader] = field(init=False)
    sortable: frozenset[str] = field(init=False)
    required: frozenset[str] = field(init=False)
    mine: frozenset[str] = field(init=False)
    _routes: dict[tuple[str, str | None], Route] = field(init=False)
    """Name and operation by method and what stands behind the table."""

    def __post_init__(self) -> None:
        table = self.schemas.table
        self.columns = readers(table)
        plain = [name for name, column in self.columns.items() if not column.json]
        self.sortable = frozenset([*plain, *(f"-{name}" for name in plain)])
        self.mine = frozenset(self.columns) - MANAGED
        self.required = frozenset(
            column.name for column in table.columns if not column.nullable and column.server_default is None
        )
        self._routes = {
            ("POST", None): ("", self.create),
            ("POST", "query"): ("/query", self.query),
            ("POST", "read"): ("/read", self.read),
            ("POST", "batch"): ("/batch", self.batch),
            ("GET", _ID): ("/{id}", self.get),
            ("PATCH", _ID): ("/{id}", self.update),
            ("DELETE", _ID): ("/{id}", self.delete),
        }

    def route(self, method: str, last: str | None) -> Route | None:
        """The name and the operation of a path that ends with `last` behind the table; None when there is none."""
        return self._routes.get((method, last if last in _WORDS else _ID))

    async def get(self, request: Request) -> Answer:
        return _row(await self.store.get(_id_of(request)))

    async def query(self, request: Request) -> Answer:
        try:
            plain = _QUERY.decode(request.body)
            if not (self.sortable.issuperset(plain.order_by) and len(plain.order_by) <= len(self.columns)):
                raise ValueError("order_by")
            filters = {name: self._filter(name, raw) for name, raw in plain.filters.items()}
            order_by, limit, cursor = plain.order_by, plain.limit, plain.cursor
        except _NOT_PLAIN:
            wanted = _validated(self.schemas.query, _parsed(request.body))
            filters, order_by = wanted.filters.given(), wanted.order_by
            limit, cursor = wanted.limit, wanted.cursor
        return Answer(await self.store.page(filters, order_by, limit, cursor))

    async def read(self, request: Request) -> Answer:
        try:
            ids = _IDS.decode(request.body).ids
        except _NOT_PLAIN:
            ids = _validated(Ids, _parsed(request.body)).ids
        return Answer(await self.store.many(ids))

    async def create(self, request: Request) -> Answer:
        try:
            members = members_of(request.body)
            if not self.required <= members.keys():
                raise ValueError("a column is missing")
            values = self._values(members)
        except _NOT_PLAIN:
            values = self._checked(self.schemas.create, _split(request.body))
        return _row(await self.store.create(values, _key_of(request)), 201)

    async def batch(self, request: Request) -> Answer:
        try:
            rows = [self._row_of(bytes(raw)) for raw in _BATCH.decode(request.body).rows]
        except _NOT_PLAIN:
            rows = self._checked_rows(request.body)
        names = tuple(rows[0])
        if any(row.keys() != rows[0].keys() for row in rows):
            raise Problem(422, "invalid-request", "All rows of a batch must name the same columns.")
        values = [[row[name] for name in names] for row in rows]
        return Answer(await self.store.create_many(names, values, _key_of(request)), 201)

    async def update(self, request: Request) -> Answer:
        id = _id_of(request)
        try:
            members = members_of(request.body)
            if not members or "id" in members:
                raise ValueError("nothing to change")
            values = self._values(members)
        except _NOT_PLAIN:
            values = self._checked(self.schemas.update, _split(request.body))
        return _row(await self.store.change(id, values, _versions_of(request), _key_of(request)))

    async def delete(self, request: Request) -> Answer:
        return _row(await self.store.soft_delete(_id_of(request), _versions_of(request), _key_of(request)))

    def _filter(self, name: str, raw: msgspec.Raw) -> Any:
        column = self.columns[name]
        if column.json:
            raise ValueError("JSON columns are not compared")
        return column.filter(raw)

    def _values(self, members: Members) -> dict[str, Any]:
        if not self.mine.issuperset(members):
            raise ValueError("a column that callers do not set")
        return {name: self.columns[name].value(raw) for name, raw in members.items()}

    def _row_of(self, text: bytes) -> dict[str, Any]:
        members = members_of(text)
        if not self.required <= members.keys():
            raise ValueError("a column is missing")
        return self._values(members)

    def _checked(self, schema: type[Values], members: Any) -> dict[str, Any]:
        return self._plain(_validated(schema, members))

    def _checked_rows(self, body: bytes) -> list[dict[str, Any]]:
        members = _split(body)
        if isinstance(members, dict) and isinstance(rows := members.get("rows"), RawJson):
            texts = _elements(rows.text)
            members = {**members, "rows": [_split(text.encode()) for text in texts] if texts is not None else rows}
        return [self._plain(row) for row in _validated(self.schemas.batch, members).rows]

    def _plain(self, values: Values) -> dict[str, Any]:
        given = values.given()
        return {name: self._sql_value(name, value) for name, value in given.items()}

    def _sql_value(self, name: str, value: Any) -> Any:
        if not isinstance(value, RawJson):
            return value
        return None if self.columns[name].nullable and value.text == "null" else value.text


def _row(written: Written, status: int = 200) -> Answer:
    return Answer(written.text.encode(), status, written.version)


def _id_of(request: Request) -> UUID:
    try:
        return msgspec.convert(request.path.rpartition("/")[2], UUID)
    except msgspec.ValidationError:
        fault = {"field": "path.id", "message": "the id of a record is a UUID"}
        raise Problem(422, "invalid-request", "There can be no such record.", errors=[fault]) from None


def _key_of(request: Request) -> RequestKey | None:
    key = request.headers.get(b"idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        fault = {"field": "header.Idempotency-Key", "message": "1 to 255 visible ASCII characters"}
        raise Problem(422, "invalid-request", "The Idempotency-Key cannot be kept.", errors=[fault])
    head = f"{request.method} {request.path}"
    if (versions := request.headers.get(b"if-match")) is not None:
        head += f" {versions.decode('latin-1')}"
    return RequestKey.of(request.caller.name, key.decode(), head, request.body)


def _versions_of(request: Request) -> list[str] | None:
    """The versions of If-Match; None where any will do."""
    header = request.headers.get(b"if-match")
    if header is None or header.strip() == b"*":
        return None
    versions = []
    for one in header.decode("latin-1").split(","):
        if (tag := _ETAG.fullmatch(one)) is None:
            detail = 'If-Match is the ETag of an answer, in its quotes: If-Match: "1234".'
            raise Problem(400, "invalid-if-match", detail)
        # A weak tag never matches (RFC 9110).
        versions += [] if tag[1] else [tag[2]]
    return versions


def _parsed(body: bytes) -> Any:
    try:
        return parse(body)
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from None


def _split(body: bytes) -> Any:
    try:
        return split_object(body)
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from None


def _elements(text: str) -> list[str] | None:
    try:
        return [bytes(raw).decode() for raw in msgspec.json.decode(text, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _not_json(error: Exception) -> Problem:
    where = f": {error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
    return Problem(400, "not-json", f"The body is not JSON{where}.")


def _validated(schema: type[BaseModel], content: Any) -> Any:
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise of_faults(error.errors(include_url=False, include_input=False, include_context=False), "body") from None
    except RecursionError:
        raise Problem(422, "too-complex", "A value is nested too deeply for its column.") from None
