"""Every operation of the Storage Service as one SQL statement, so that each is atomic in one round trip.

The texts are built once for each shape of a request, and asyncpg prepares them once a connection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from sqlalchemy import JSON, Column, String, Table
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # as SQLAlchemy has it
_SQL = {path.name.removesuffix(".sql"): path.read_text() for path in (files(__package__) / "sql").iterdir()}
PURGE = _SQL["purge"]
RECALL = "SELECT request_sha256 FROM storage_service.idempotency_keys WHERE service = $1 AND key = $2"
IN_RECOVERY = "SELECT pg_is_in_recovery()"
COMPRESSION = 30
"""A compressed value is reckoned as this many times its size: its real one is not known before it is read."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with $1, $2, … and the names of what stands for them."""

    sql: str
    names: tuple[str, ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in their order."""
        return [values[name] for name in self.names]


@dataclass(frozen=True)
class Ordering:
    """One column of an ORDER BY."""

    name: str
    descending: bool

    @classmethod
    def parse(cls, order_by: Sequence[str]) -> "tuple[Ordering, ...]":
        """order_by as clients write it, ended by the key so that no two rows are equal.

        The key goes the last column's way, so that one index serves both.
        """
        names = list(order_by)
        if not {"id", "-id"} & set(names):
            names.append("-id" if names and names[-1].startswith("-") else "id")
        return tuple(cls(name.removeprefix("-"), name.startswith("-")) for name in names)


@dataclass
class _Parameters:
    """Numbers the parameters of one statement."""

    names: list[str] = field(default_factory=list)

    def __call__(self, name: str, kind: str) -> str:
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}::{kind}"


@dataclass(frozen=True)
class Statements:
    """Builds the statements of one table, which lies in `schema`. Their values are named like the columns."""

    table: Table
    schema: str

    def get(self, *, deleted: bool) -> Statement:
        """The row `id`. deleted: even if it is deleted."""
        parameters = _Parameters()
        wanted = f"t.id = {parameters('id', 'uuid')}" + ("" if deleted else " AND NOT t.is_deleted")
        return self._statement("get", parameters, columns_of_t=self._columns("t"), wanted=wanted)

    def page(
        self, filters: Mapping[str, bool], ordering: Sequence[Ordering], after: Sequence[bool] | None, *, cut: bool
    ) -> Statement:
        """Rows that equal the filters. Takes `limit` and `byte_limit`.

        filters: by column, whether it is to be NULL. after: begin behind the row with the ordering values after_0, …,
        of which these are NULL. cut: end the page where the next row does not fit; else large rows have no JSON.
        """
        parameters = _Parameters()
        wanted = ["true"]
        for name, is_null in filters.items():
            column = self.table.c[name]
            value = "IS NULL" if is_null else f"= {parameters(name, _parameter_type(column))}"
            wanted.append(f"t.{_quoted(name)} {value}")
        if after is not None:
            wanted.append(self._behind(parameters, ordering, after))
        return self._page(parameters, wanted, ordering, cut=cut)

    def many(self, *, cut: bool) -> Statement:
        """The rows whose id is one of `ids` and that are not deleted, as a page."""
        parameters = _Parameters()
        wanted = [f"t.id = ANY ({parameters('ids', 'uuid[]')})", "NOT t.is_deleted"]
        return self._page(parameters, wanted, Ordering.parse(()), cut=cut)

    def many_known(self) -> Statement:
        """The rows whose id is one of `ids`, deleted or not, as (JSON, version), in the order of `ids`."""
        parameters = _Parameters()
        ids = parameters("ids", "uuid[]")
        wanted = f"t.id = ANY ({ids}) ORDER BY array_position({ids}, t.id)"
        return self._statement("get", parameters, columns_of_t=self._columns("t"), wanted=wanted)

    def create(self, names: Sequence[str], *, once: bool) -> Statement:
        """Insert one row."""
        parameters = _Parameters()
        values = ", ".join(parameters(name, _parameter_type(self.table.c[name])) for name in names)
        write = f"INSERT INTO {self._name()} ({_list(names)}) VALUES ({values})"  # noqa: S608 - quoted identifiers
        return self._write(parameters, write, once=once)

    def create_many(self, names: Sequence[str], *, once: bool) -> Statement:
        """Insert rows, given as an array for each column."""
        parameters = _Parameters()
        arrays = ", ".join(parameters(name, f"{_array_type(self.table.c[name])}[]") for name in names)
        values = ", ".join(f"g.{_quoted(name)}::{_parameter_type(self.table.c[name])}" for name in names)
        rows = f"SELECT {values} FROM unnest({arrays}) AS g ({_list(names)})"  # noqa: S608 - as above
        return self._write(parameters, f"INSERT INTO {self._name()} ({_list(names)}) {rows}", once=once)

    def change(self, names: Sequence[str], *, once: bool, versions: bool) -> Statement:
        """Update the row `id` unless it is deleted. versions: and unless its version is none of `versions`."""
        parameters = _Parameters()
        values = [f"{_quoted(name)} = {parameters(name, _parameter_type(self.table.c[name]))}" for name in names]
        return self._update(parameters, values, once=once, versions=versions)

    def soft_delete(self, *, once: bool, versions: bool) -> Statement:
        """Mark the row `id` as deleted; as change."""
        return self._update(_Parameters(), ["is_deleted = true", "deleted_at = now()"], once=once, versions=versions)

    def _update(self, parameters: _Parameters, values: Sequence[str], *, once: bool, versions: bool) -> Statement:
        changes = ", ".join([*values, "updated_at = now()"])
        wanted = f"id = {parameters('id', 'uuid')} AND NOT is_deleted"
        if versions:
            wanted += f" AND xmin::text = ANY ({parameters('versions', 'text[]')})"
        write = f"UPDATE {self._name()} SET {changes} WHERE {wanted}"  # noqa: S608 - as above
        return self._write(parameters, write, once=once)

    def _write(self, parameters: _Parameters, write: str, *, once: bool) -> Statement:
        parts = {"write": write, "columns": _list(self.table.columns.keys()), "columns_of_w": self._columns("w")}
        if not once:
            return self._statement("write", parameters, **parts)
        parts |= {"service": parameters("key_service", "text"), "key": parameters("key_key", "text")}
        return self._statement("write_once", parameters, **parts, request_sha256=parameters("key_sha256", "bytea"))

    def _page(
        self, parameters: _Parameters, wanted: Sequence[str], ordering: Sequence[Ordering], *, cut: bool
    ) -> Statement:
        def order(source: str) -> str:
            return ", ".join(f"{source}.{_quoted(by.name)}{' DESC' if by.descending else ''}" for by in ordering)

        return self._statement(
            "page_cut" if cut else "page",
            parameters,
            columns_of_t=self._columns("t"),
            columns_of_p=self._columns("p"),
            row_bytes=self._row_bytes(),
            wanted=" AND ".join(wanted),
            order_of_t=order("t"),
            order_of_p=order("p"),
            limit=parameters("limit", "int"),
            byte_limit=parameters("byte_limit", "float8"),
        )

    def _behind(self, parameters: _Parameters, ordering: Sequence[Ordering], nulls: Sequence[bool]) -> str:
        """Rows behind the row with these ordering values, in PostgreSQL's order: NULL is the greatest value."""
        columns = [self.table.c[by.name] for by in ordering]
        mine = [f"t.{_quoted(column.name)}" for column in columns]
        given = [
            "NULL" if is_null else f"{parameters(f'after_{number}', 'text')}::{_parameter_type(column)}"
            for number, (column, is_null) in enumerate(zip(columns, nulls, strict=True))
        ]
        if len({by.descending for by in ordering}) == 1 and not any(column.nullable for column in columns):
            # One comparison of rows, which an index on the columns answers.
            return f"({', '.join(mine)}) {'<' if ordering[0].descending else '>'} ({', '.join(given)})"
        alternatives, same = [], ["true"]
        for by, one, value, is_null in zip(ordering, mine, given, nulls, strict=True):
            if is_null:
                behind, equal = f"{one} IS NOT NULL" if by.descending else "false", f"{one} IS NULL"
            else:
                behind = f"{one} < {value}" if by.descending else f"({one} > {value} OR {one} IS NULL)"
                equal = f"{one} = {value}"
            alternatives.append(" AND ".join([*same, behind]))
            same.append(equal)
        return f"({' OR '.join(alternatives)})"

    def _row_bytes(self) -> str:
        total = "500::float8"
        for column in self.table.columns:
            if isinstance(column.type, JSON) or (isinstance(column.type, String) and column.type.length is None):
                name = f"t.{_quoted(column.name)}"
                factor = f"CASE WHEN pg_column_compression({name}) IS NULL THEN 1 ELSE {COMPRESSION} END"
                total += f" + coalesce(pg_column_size({name})::float8 * {factor}, 0)"
        return total

    def _name(self) -> str:
        return f"{_quoted(self.schema)}.{_quoted(self.table.name)}"

    def _columns(self, source: str) -> str:
        return ", ".join(f"{source}.{_quoted(name)}" for name in self.table.columns.keys())  # noqa: SIM118 - no mapping

    def _statement(self, name: str, parameters: _Parameters, **parts: str) -> Statement:
        return Statement(_SQL[name].format(table=self._name(), **parts), tuple(parameters.names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _parameter_type(column: Column[Any]) -> str:
    # A cast to VARCHAR(n) would cut silently what is too long.
    return "text" if isinstance(column.type, String) else column.type.compile(_DIALECT)


def _array_type(column: Column[Any]) -> str:
    return "text" if isinstance(column.type, JSON) else _parameter_type(column)
