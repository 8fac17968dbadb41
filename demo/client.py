"""One client of a service: it writes records through the API and prints the answers."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx

from demo.ledger import TOKENS, Kind, Operation, Outcome, digest

PARENTS = {"campaign": "campaigns", "image": "images"}
CHILDREN = {"campaign": "chapters", "image": "overlays"}
METHODS: dict[Kind, str] = {"create": "POST", "update": "PATCH", "delete": "DELETE"}
CERTAINLY_NOT_WRITTEN = {"fenced", "conflict", "locked", "overloaded"}
"""What the services call a 503 when nothing was written. With others, the database's own answer may be lost."""
TEXTS = (None, "", " ", "plain", 'it\'s "quoted"', "two\nlines\tand a tab", "äß漢字🎲", "\\N", "{}", "NULL", "%s")


def now() -> float:
    """Seconds since 1970, by a clock that no one sets while the demo runs."""
    return _START + time.monotonic()


_START = time.time() - time.monotonic()


@dataclass(frozen=True)
class Record:
    """A record as a client last knew it to be held."""

    table: str
    token: str
    values: dict[str, Any]
    id: str = ""


class Client:
    """Writes its own records of one service, one after the other; no other client touches them.

    After an unknown outcome it leaves the record alone, for the write may still happen.
    """

    def __init__(self, service: str, http: httpx.AsyncClient) -> None:
        self._service = service
        self._http = http
        self._random = random.Random()  # noqa: S311 - test data
        self._parents: list[Record] = []
        self._children: list[Record] = []

    async def write(self, token: str) -> Operation:
        """Create, change or delete a record; `token` names a new one."""
        choice = self._random.random()
        if not self._parents or choice < 0.2:
            return await self._create(PARENTS[self._service], token, self._parents)
        if not self._children or choice < 0.6:
            return await self._create(CHILDREN[self._service], token, self._children)
        if choice < 0.9:
            return await self._change("update", self._random.choice([self._parents, self._children]))
        return await self._change("delete", self._children)

    async def _create(self, table: str, token: str, known: list[Record]) -> Operation:
        parent = self._random.choice(self._parents) if known is self._children else None
        record = Record(table, token, new_values(self._random, table, token, parent))
        operation = await self._send("create", record)
        if operation.outcome == "acknowledged":
            known.append(replace(record, id=str(operation.id)))
        return operation

    async def _change(self, kind: Kind, known: list[Record]) -> Operation:
        place = self._random.randrange(len(known))
        record = known[place]
        if kind == "update":
            values = record.values | new_values(self._random, record.table, record.token, None)
            record = replace(record, values=values)
        operation = await self._send(kind, record)
        if operation.outcome == "acknowledged" and kind == "update":
            known[place] = record
        elif operation.outcome != "refused":
            known.pop(place)
        return operation

    async def _send(self, kind: Kind, record: Record) -> Operation:
        body = None if kind == "delete" else record.values
        id: str | None = record.id or None
        sent = now()
        try:
            response = await self._http.request(METHODS[kind], f"/{record.table}/{record.id}".rstrip("/"), json=body)
            outcome, answer, answered_id = outcome_of(response)
            id = answered_id or id
        except (httpx.ConnectError, httpx.ConnectTimeout):
            outcome, answer = "refused", "not reachable"
        except httpx.TransportError as error:
            outcome, answer = "unknown", f"no answer ({type(error).__name__})"
        held = digest(record.table, record.values)
        return Operation(self._service, record.table, record.token, kind, held, sent, now(), outcome, answer, id)


def outcome_of(response: httpx.Response) -> tuple[Outcome, str, str | None]:
    """(outcome; the status and what the service calls its problem; the key of the record that was written)."""
    try:
        body = response.json()
        if response.is_success:
            return "acknowledged", str(response.status_code), str(body["id"])
        problem = str(body["type"]).removeprefix("urn:problem:")
    except (ValueError, KeyError, TypeError):
        problem = "unreadable"
    certain = response.is_client_error or (response.status_code == 503 and problem in CERTAINLY_NOT_WRITTEN)
    return "refused" if certain else "unknown", f"{response.status_code} {problem}", None


def new_values(rng: random.Random, table: str, token: str, parent: Record | None) -> dict[str, Any]:
    """Values for every column that clients write; without a parent, all but the reference to it."""
    text, document = rng.choice(TEXTS), _document(rng)
    values: dict[str, Any]
    match table:
        case "campaigns":
            people = {"creator_id": _uuid(rng), "owner_id": _uuid(rng)}
            values = {"description": text, "state": rng.choice(["draft", "active"]), "theme_data": document} | people
        case "chapters":
            values = {"description": text, "sequence_number": rng.randrange(1000), "content": document}
        case "images":
            large = "x" * 100_000 if rng.random() < 0.02 else ""
            values = {"type": rng.choice(["map", "portrait"]), "content": document | {"data": large}, "metadata": {}}
        case _:
            values = {"elements": [document]}
    reference = {f"{parent.table.removesuffix('s')}_id": parent.id} if parent else {}
    return values | reference | {TOKENS[table]: token}


def _document(rng: random.Random) -> dict[str, Any]:
    numbers = {"integer": rng.getrandbits(40), "fraction": rng.randrange(1000) / 8, "whole": 1.0}
    return {"z": rng.choice(TEXTS), "a": [rng.choice(TEXTS), True, None, {}], "é\"'": numbers}


def _uuid(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))
