"""A look at the built target, before anything is fenced: what would stop the run in the outage is refused here.

The lineage is at its head, the roles have their grants, the tables are empty, the services still write to the source:
everything that can be seen of the target is there, and nothing is lost by stopping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from consolidation.borders import Json
from consolidation.compare.digest import Incomparable, comparison
from consolidation.errors import StepRefused, describe
from consolidation.fence import probe
from consolidation.fence import state as fence
from consolidation.journal.records import ROLLED_BACK
from consolidation.journal.results import Phase
from consolidation.journal.state import read as read_state
from consolidation.model import Database
from consolidation.postgres.catalog import Table, read_tables, unsound
from consolidation.postgres.connection import session
from consolidation.postgres.queries import dicts, execute, query, rows
from consolidation.postgres.roles import act_as
from consolidation.schema.objects import NEVER_NEEDED, SORTS, differ, is_accepted, read_objects, without_schema

ACCEPT = "preflight_accepted"
SHOWN = 10
PROBE_TIMEOUT = "5s"


@dataclass(frozen=True)
class Fault:
    """What would stop the run later, and how to fix it."""

    what: str
    fix: str


@dataclass(frozen=True)
class Look:
    """What was seen."""

    skip_reason: str = ""
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    """Differences that stop nothing."""

    def as_result(self) -> Json:
        """For module results and the evidence."""
        faults = [{"what": fault.what, "fix": fault.fix} for fault in self.faults]
        return {"skip_reason": self.skip_reason, "faults": faults, "notes": list(self.notes)}


@dataclass(frozen=True)
class _Sides:
    database: Database
    source: Connection
    target: Connection
    ours: tuple[Table, ...]
    theirs: tuple[Table, ...]
    accepted: tuple[str, ...]


def look(database: Database, accepted: tuple[str, ...] = ()) -> Look:
    """Compare the built target with the source by name, and try what the run will do there. Changes nothing.

    accepted: objects that may stay behind, as preflight takes them.
    """
    if not database.strategy.two_copies:
        return Look("tables that are moved keep everything")
    with session(database.source, "schema look") as source, session(database.target, "schema look") as target:
        if skip_reason := _loaded(target, database):
            return Look(skip_reason)
        ours = read_tables(source, database.source_schema, database.tables)
        sides = _Sides(database, source, target, ours, read_tables(target, database.name), accepted)
        parts = (_tables, _objects, _soundness, _partitions, _row_security)
        found = [item for part in parts for item in part(sides)]
        target.rollback()
        found += _writes(sides)
    faults = tuple(item for item in found if isinstance(item, Fault))
    return Look("", faults, tuple(item for item in found if isinstance(item, str)))


def require(database: Database, accepted: tuple[str, ...] = ()) -> Json:
    """``look``, and StepRefused where anything would stop the run later."""
    seen = look(database, accepted)
    if seen.faults:
        lines = [f"{fault.what}\n  fix: {fault.fix}" for fault in seen.faults[:SHOWN]]
        more = len(seen.faults) - SHOWN
        raise StepRefused(
            f"{database.name}: the built target would stop the run behind the fence:\n"
            + "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])]),
            hint="nothing is fenced, the services write to the source; fix these, then run the same command again",
            facts=seen.as_result(),
        )
    return seen.as_result()


def _loaded(target: Connection, database: Database) -> str:
    """Why the target is not as the lineage has built it; empty where it is."""
    state = read_state(target, database)
    if state.run is not None and state.run.state != ROLLED_BACK and Phase.COPY in state.phases:
        return f"run {state.run.id} has begun to load the target"
    return ""


def _tables(sides: _Sides) -> Iterator[Fault | str]:
    there = {table.name: table for table in sides.theirs}
    for table in sides.ours:
        if table.name not in there:
            yield Fault(f"{table} has no table to go to: {sides.database.name}.{table.name}", _revision(sides))
            continue
        if there[table.name].persistence == "u" and table.persistence != "u":
            what = f"{there[table.name]} is unlogged, {table} is not: a crash would empty it after it was verified"
            yield Fault(what, _revision(sides))
        try:
            comparison(table, there[table.name])
        except Incomparable as error:
            yield Fault(error.message, _revision(sides))


def _objects(sides: _Sides) -> Iterator[Fault | str]:
    ours = read_objects(sides.source, sides.database.source_schema, sides.ours)
    theirs = read_objects(sides.target, sides.database.name, sides.theirs)
    for key in sorted(ours.keys() - theirs.keys()):
        item = ours[key]
        if SORTS.get(item.sort) in NEVER_NEEDED or is_accepted(item.kind, item.identity, sides.accepted):
            continue
        fix = f"{_revision(sides)}; or leave it behind: {ACCEPT}: ['{item.kind} {item.identity}']"
        yield Fault(f"{item.sort} {item.identity} of the source is not in the target", fix)
    for key in differ(ours, theirs):
        yield f"{ours[key].sort} {ours[key].identity} is defined differently in the target: compare the two"


def _soundness(sides: _Sides) -> Iterator[Fault | str]:
    """What is not in force on the target only; what both sides share stays as it is."""
    names = [table.name for table in sides.ours]
    here = unsound(sides.source, sides.database.source_schema, names, fence.TRIGGER)
    for text in unsound(sides.target, sides.database.name, names, fence.TRIGGER):
        if text in here:
            yield f"{text}, on both sides"
        else:
            fix = "VALIDATE CONSTRAINT, ENABLE TRIGGER or REINDEX it on the target; or a revision of the lineage"
            yield Fault(f"{text}, on the target only", fix)


def _partitions(sides: _Sides) -> Iterator[Fault | str]:
    """Partitions of the source whose rows would have no place."""
    database = sides.database
    places: dict[str, set[str]] = {}
    for row in dicts(sides.target, query("schema/leaves"), {"schema": database.name}):
        takes = "DEFAULT" if row["is_default"] else without_schema(row["takes"] or "", database.name)
        places.setdefault(row["root"], set()).add(takes)
    wanted = {table.name for table in sides.ours}
    for row in dicts(sides.source, query("schema/leaves"), {"schema": database.source_schema}):
        root, takes = row["root"], without_schema(row["takes"] or "", database.source_schema)
        if root not in places or root not in wanted or "DEFAULT" in places[root] or takes in places[root]:
            continue
        what = f"partition {row['leaf']} of the source has no counterpart in {database.name}.{root}"
        subject = f"{database.source_schema}.{root}"
        if is_accepted("source.object.partitioned_table", subject, sides.accepted):
            yield f"{what} (accepted)"
        else:
            fix = f"{_revision(sides)}; or accept it: {ACCEPT}: ['source.object.partitioned_table {subject}']"
            yield Fault(f"{what}: its rows would have no place", fix)


def _row_security(sides: _Sides) -> Iterator[Fault | str]:
    role = sides.database.target.user
    for (name,) in rows(sides.target, query("schema/row_security"), {"schema": sides.database.name, "role": role}):
        fix = sql.SQL("on the target, as a superuser: ALTER ROLE {} BYPASSRLS;").format(sql.Identifier(role))
        yield Fault(f"row security of {name} would hide rows from role {role}", fix.as_string(sides.target))


def _writes(sides: _Sides) -> Iterator[Fault | str]:
    """Statements that touch no row, as every role that is to write: rights, and triggers that fire for a statement.

    Of partitions as well, wherever they are: the cutover tries them, too.
    """
    columns = {table.oid: table for table in sides.theirs}
    for role in sides.database.target_roles:
        for fenced in fence.read(sides.target, sides.database.target_side):
            sides.target.rollback()
            statements = _statements(fenced.identifier, columns.get(fenced.oid))
            faults = tuple(_try(sides.target, role, fenced, statements))
            yield from faults
            if not faults and (lacks := probe.shortcoming(sides.target, role, fenced)):
                what = f"role {role} cannot write {fenced.schema}.{fenced.name}: {lacks}"
                yield Fault(what, probe.fix(sides.database.target_side, role, lacks))


def _try(
    target: Connection, role: str, table: fence.Fenced, statements: Iterable[sql.Composed]
) -> Iterator[Fault | str]:
    for statement in statements:
        try:
            execute(target, "SELECT set_config('lock_timeout', %s, true)", [PROBE_TIMEOUT])
            execute(target, "SELECT set_config('row_security', 'on', true)")
            act_as(target, role)
            execute(target, statement)
        except psycopg2.errors.ReadOnlySqlTransaction:
            pass  # the target's own fence, where an earlier try has closed it: it stands behind the role's rights
        except psycopg2.Error as error:
            word = statement.as_string(target).split(maxsplit=1)[0]
            what = f"role {role} cannot {word} {table.schema}.{table.name}: {describe(error)}"
            yield Fault(what, _fix(error, role, table, target))
            return
        finally:
            target.rollback()


def _statements(name: sql.Identifier, table: Table | None) -> Iterator[sql.Composed]:
    yield sql.SQL("DELETE FROM {} WHERE false").format(name)
    columns = (
        [sql.Identifier(column.name) for column in table.stored_columns if column.identity != "a"] if table else []
    )
    if columns:
        names = sql.SQL(", ").join(columns)
        yield sql.SQL("INSERT INTO {0} ({1}) SELECT {1} FROM {0} WHERE false").format(name, names)
        yield sql.SQL("UPDATE {0} SET {1} = {1} WHERE false").format(name, columns[0])


def _fix(error: psycopg2.Error, role: str, table: fence.Fenced, target: Connection) -> str:
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return "let the session that holds the table end, then run again"
    if isinstance(error, psycopg2.errors.InsufficientPrivilege):
        template = (
            "the table's grants: GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}; else those of what its triggers use"
        )
        return sql.SQL(template).format(table.identifier, sql.Identifier(role)).as_string(target)
    template = (
        "a trigger of the table fails for this role. Where it names objects without their schema: "
        "ALTER FUNCTION … SET search_path = {schema}; or ALTER ROLE {role} SET search_path = {schema}, public"
    )
    names = {"schema": sql.Identifier(table.schema), "role": sql.Identifier(role)}
    return sql.SQL(template).format(**names).as_string(target)


def _revision(sides: _Sides) -> str:
    return f"bring it in by a revision of alembic/versions/{sides.database.name}"
