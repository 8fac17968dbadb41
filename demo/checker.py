"""Is every write that was acknowledged in the databases, once and unaltered? And how long could clients not write?

Knows the ledger and the tables, nothing of the runbook.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from psycopg2 import sql

from demo.data import SERVICES
from demo.ledger import COLUMNS, MARK, TOKENS, Operation, digest
from demo.servers import Server

State = tuple[str, bool]
"""(digest of the record, whether it is deleted)"""


@dataclass(frozen=True)
class Row:
    """A row that some client wrote."""

    id: str
    state: State


Rows = Mapping[str, Mapping[str, list[Row]]]
"""Table -> token -> rows"""


@dataclass
class Verdict:
    """What became of the writes through one service: tokens of the records that are not as acknowledged."""

    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    missing: list[str] = field(default_factory=list)
    """Acknowledged, but not there."""
    duplicated: list[str] = field(default_factory=list)
    """There more than once."""
    altered: list[str] = field(default_factory=list)
    """Not what the last acknowledged write made of it."""
    uncalled: list[str] = field(default_factory=list)
    """There, although it was refused, or never sent."""

    @property
    def wrong(self) -> list[str]:
        """All records that are not as they were acknowledged."""
        return [*self.missing, *self.duplicated, *self.altered, *self.uncalled]


def rows_of(server: Server, dbname: str, schema: str, tables: Iterable[str]) -> Rows:
    """The rows that clients wrote into these tables."""
    found: dict[str, dict[str, list[Row]]] = {}
    conn = server.connect(dbname)
    try:
        with conn.cursor() as cursor:
            for table in tables:
                columns = ["id", TOKENS[table], "is_deleted", *COLUMNS[table]]
                statement = sql.SQL("SELECT {} FROM {} WHERE {} LIKE {}").format(
                    sql.SQL(", ").join(map(sql.Identifier, columns)),
                    sql.Identifier(schema, table),
                    sql.Identifier(TOKENS[table]),
                    sql.Literal(f"{MARK}%"),
                )
                cursor.execute(statement)
                by_token: dict[str, list[Row]] = defaultdict(list)
                for id, token, deleted, *values in cursor:
                    held = digest(table, dict(zip(COLUMNS[table], values, strict=True)))
                    by_token[token].append(Row(id, (held, deleted)))
                found[table] = by_token
    finally:
        conn.close()
    return found


def check(operations: Iterable[Operation], rows: Rows) -> dict[str, Verdict]:
    """Service -> verdict. operations: all writes of the ledger, a record's own in the order in which they were sent."""
    verdicts: dict[str, Verdict] = defaultdict(Verdict)
    histories: dict[tuple[str, str, str], list[Operation]] = defaultdict(list)
    for operation in operations:
        verdict = verdicts[operation.service]
        setattr(verdict, operation.outcome, getattr(verdict, operation.outcome) + 1)
        histories[operation.service, operation.table, operation.token].append(operation)
    for (service, table, token), history in histories.items():
        _judge(verdicts[service], token, history, rows[table].get(token, []))
    sent = {(table, token) for _, table, token in histories}
    for service, tables in SERVICES.items():
        never_sent = [token for table in tables for token in rows[table] if (table, token) not in sent]
        verdicts[service].uncalled += never_sent
    return dict(verdicts)


def _judge(verdict: Verdict, token: str, history: list[Operation], found: list[Row]) -> None:
    allowed = _allowed(history)
    ids = {operation.id for operation in history if operation.id}
    if len(found) > 1:
        verdict.duplicated.append(token)
    elif not found:
        if None not in allowed:
            verdict.missing.append(token)
    elif allowed == {None}:
        verdict.uncalled.append(token)
    elif found[0].state not in allowed or ids - {found[0].id}:
        verdict.altered.append(token)


def _allowed(history: list[Operation]) -> set[State | None]:
    """The states that a record may be in; None: not there."""
    allowed: set[State | None] = {None}
    for operation in history:
        state = (operation.digest, operation.kind == "delete")
        if operation.outcome == "acknowledged":
            allowed = {state}
        elif operation.outcome == "unknown":
            allowed.add(state)
    return allowed


@dataclass(frozen=True)
class Outage:
    """The longest time within a window in which no write through a service was acknowledged."""

    service: str
    last_before: float | None
    first_after: float | None
    """Seconds since 1970; None: there was none."""
    errors: Mapping[str, int]
    """Answer -> how often, among the writes sent within the window."""
    longest_wait: float
    """Seconds from sending a write to its answer, whatever it was, among the same."""

    @property
    def seconds(self) -> float | None:
        if self.last_before is None or self.first_after is None:
            return None
        return self.first_after - self.last_before


def outages(operations: Iterable[Operation], begin: float, end: float) -> list[Outage]:
    """What the clients of each service saw in the window; an outage may reach beyond its ends."""
    by_service: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_service[operation.service].append(operation)
    return [_outage(service, of_service, begin, end) for service, of_service in by_service.items()]


def _outage(service: str, operations: list[Operation], begin: float, end: float) -> Outage:
    answers = sorted(each.answered for each in operations if each.outcome == "acknowledged")
    before: list[float | None] = [None, *answers]
    gaps = list(zip(before, [*answers, None], strict=True))
    within = [gap for gap in gaps if (gap[0] or 0) < end and (gap[1] or end) > begin]
    longest = max(within, key=lambda gap: min(gap[1] or end, end) - max(gap[0] or begin, begin))
    sent = [each for each in operations if begin < each.sent < end]
    failed = Counter(each.answer for each in sent if each.outcome != "acknowledged")
    longest_wait = max((each.answered - each.sent for each in sent), default=0.0)
    return Outage(service, *longest, dict(failed.most_common()), longest_wait)
