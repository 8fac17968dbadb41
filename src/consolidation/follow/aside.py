"""Foreign keys, user triggers and rewrite rules of the destination stand aside while a round writes.

Within the round's own transaction: what others see has them all at any time, though a foreign key that was aside is not
valid until ``validate``. So no cascade and no trigger runs, and a round is as fast at any size of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from consolidation.capture.state import PREFIX
from consolidation.errors import StepRefused
from consolidation.fence.state import TRIGGER
from consolidation.postgres.queries import dicts, execute, query

FOREIGN_KEY = "foreign key"
LOCK_TIMEOUT = "10s"
"""For the exclusive locks that dropping a foreign key takes; behind the fence only readers hold any."""


@dataclass(frozen=True)
class Aside:
    """One thing that stands aside."""

    kind: str
    relation: str
    drop_statement: str
    create_statement: str
    validate_statement: str | None


def put(destination: Connection, oids: Iterable[int]) -> tuple[Aside, ...]:
    """Drop or disable what a round on these tables goes without. Raises StepRefused where a reader is in the way."""
    ours = [name.replace("_", r"\_") + "%" for name in (TRIGGER, PREFIX)]
    found = tuple(Aside(**row) for row in dicts(destination, query("follow/aside"), {"oids": list(oids), "ours": ours}))
    execute(destination, "SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
    try:
        if found:
            execute(destination, "; ".join(each.drop_statement for each in found))
    except errors.LockNotAvailable as error:
        raise StepRefused(
            f"a reader held tables of the destination for more than {LOCK_TIMEOUT}",
            hint="nothing was changed; end the sessions that read them (pg_stat_activity), then run again",
        ) from error
    return found


def back(destination: Connection, aside: Iterable[Aside]) -> None:
    """Make all again, foreign keys last: their triggers are not to be disabled ones of a table."""
    execute(destination, "SET CONSTRAINTS ALL IMMEDIATE")
    ordered = sorted(aside, key=lambda each: each.kind == FOREIGN_KEY)
    if ordered:
        execute(destination, "; ".join(each.create_statement for each in ordered))


def to_validate(aside: Iterable[Aside]) -> set[str]:
    """The statements that validate what was valid before."""
    return {each.validate_statement for each in aside if each.validate_statement}
