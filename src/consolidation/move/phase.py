"""The copy phase of tables that already are in the storage database: ALTER TABLE ... SET SCHEMA, in one transaction.

Their fence moves with them. The lineage is stamped in the same transaction, and only after Alembic has found the moved
tables equal to its models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.compare.digest import Digest, table_digest
from consolidation.errors import StepRefused
from consolidation.fence import state as fence
from consolidation.journal import state
from consolidation.journal.phase import Work, recorded
from consolidation.journal.results import CopyResult, Phase
from consolidation.journal.state import RunState
from consolidation.lineage import alembic as lineage
from consolidation.lineage.models import lineage_metadata
from consolidation.model import Database
from consolidation.postgres.catalog import Table, definitions, read_sequences, read_tables
from consolidation.postgres.connection import session
from consolidation.postgres.locks import ACCESS_EXCLUSIVE, locked
from consolidation.postgres.queries import execute, query, rows
from consolidation.schema import grants


@dataclass(frozen=True)
class Plan:
    """The tables and sequences to move from one schema to another."""

    database: Database
    origin: str
    destination: str
    tables: tuple[Table, ...]
    sequences: tuple[str, ...]
    """Those to move that no column owns; owned ones follow their table."""
    skip_reason: str = ""
    """Why there is nothing to do, where the journal says so."""

    @property
    def changed(self) -> bool:
        """Whether anything is in the origin."""
        return bool(self.tables)

    def diff(self) -> dict[str, str]:
        """One line for each table and sequence."""
        if self.skip_reason:
            return {"prepared": f"{self.skip_reason}\n"}
        names = [*(f"TABLE {table.name}" for table in self.tables), *(f"SEQUENCE {name}" for name in self.sequences)]
        return {"prepared": "".join(f"{name}: {self.origin} -> {self.destination}\n" for name in names)}


def plan(database: Database, *, back: bool = False) -> Plan:
    """What would be moved to the target schema, or back from it; nothing for a database that is copied."""
    origin, destination = database.source_schema, database.name
    if database.strategy.two_copies:
        return Plan(database, origin, destination, (), ())
    with session(database.target, "move plan") as conn:
        if not back:
            only: tuple[str, ...] = database.tables
        else:
            origin, destination, only = destination, origin, ()
        tables = read_tables(conn, origin, only)
        run = state.read(conn, database)
        skip_reason = run.skip_reason(Phase.ROLLBACK_COPY if back else Phase.COPY)
        if skip_reason:
            return Plan(database, origin, destination, (), (), skip_reason)
        sequences = _sequences(conn, database, tables, run if back else None)
    return Plan(database, origin, destination, tables, sequences if tables else ())


def apply(plan: Plan, timeout_seconds: float) -> Json:
    """Move; to the target only behind the closed fence, back only with the fence closed too. Raises StepRefused."""
    database = plan.database
    if database.strategy.two_copies:
        return {"msg": f"{database.name} is copied, not moved"}
    if plan.skip_reason:
        return {"msg": plan.skip_reason}
    back = plan.origin == database.name
    with recorded(database, Phase.ROLLBACK_COPY if back else Phase.COPY) as work:
        if plan.tables:
            with lineage.alembic_session(database.target) as (_, alchemy):
                conn: Any = alchemy.connection.driver_connection
                _require_fence(conn, database, "target" if back else "source")
                digests = {table.name: table_digest(conn, table) for table in plan.tables}
                with locked(conn, database.target, plan.tables, timeout_seconds, ACCESS_EXCLUSIVE):
                    _set_schema(conn, plan)
                    if not back:
                        _require_equal_to_lineage(database, lineage.differences(alchemy, database.name))
                    lineage.stamp(alchemy, database.name, "base" if back else "head")
                    _keep(work, plan, digests)
        if not back:
            with session(database.target, "move") as target:
                work.note(CopyResult(definitions=definitions(target, database.name)))
            grants.apply_grants(grants.plan_grants(database))
        return dict(work.result)


def _sequences(
    conn: Connection, database: Database, tables: tuple[Table, ...], moved: RunState | None
) -> tuple[str, ...]:
    """Sequences without an owner that are moved too; ``moved``: the run whose move is undone.

    Of a schema that other services share, those of the tables' defaults and of the lineage; all of one that is ours.
    """
    if not tables:
        return ()
    origin = tables[0].schema
    free = [item.name for item in read_sequences(conn, origin) if item.table is None]
    named: list[str] = free
    if moved is not None:
        kept = moved.copy.sequences
        named = free if kept is None else list(kept)
    elif database.tables:
        # SQLAlchemy has no public way to list them.
        named = [item.name for item in lineage_metadata(database.name)._sequences.values()]
    parameters = {"schema": origin, "tables": [table.oid for table in tables]}
    wanted = {*named, *(name for (name,) in rows(conn, query("move/default_sequences"), parameters))}
    return tuple(name for name in free if name in wanted)


def _keep(work: Work, plan: Plan, digests: dict[str, Digest]) -> None:
    """Journal what is moved before that is committed: killed after it, a re-run finds nothing to digest."""
    tables = tuple(
        {"name": name, "rows": digest.rows, "digest": digest.hex, "sums": [str(part) for part in digest.sums]}
        for name, digest in digests.items()
    )
    work.note(CopyResult(copy_id=uuid4().hex, tables=tables, sequences=plan.sequences))
    work.keep()


def _require_fence(conn: Connection, database: Database, side: str) -> None:
    if not fence.is_closed(conn, database.side(side)):
        raise StepRefused(
            f"{database.name}: the {side} is not fenced",
            hint="run the phases in order with ansible-playbook migrate.yml",
        )
    conn.commit()


def _set_schema(conn: Connection, plan: Plan) -> None:
    destination = sql.Identifier(plan.destination)
    for kind, names in (("TABLE", [table.name for table in plan.tables]), ("SEQUENCE", plan.sequences)):
        for name in names:
            statement = sql.SQL(f"ALTER {kind} {{}} SET SCHEMA {{}}")
            execute(conn, statement.format(sql.Identifier(plan.origin, name), destination))


def _require_equal_to_lineage(database: Database, found: list[str]) -> None:
    if found:
        raise StepRefused(
            f"{database.name}: the tables are not what the lineage's models say, they stay where they were: "
            + "; ".join(found),
            hint="bring them in line before the window (preflight names each difference with its fix), then run again",
        )
