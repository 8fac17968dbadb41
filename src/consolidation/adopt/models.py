"""Models of a source's tables, as code: reflected by SQLAlchemy, written by Alembic, put into tables by us."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy.dialects.postgresql import DOMAIN
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import NullType, TypeEngine

from consolidation.postgres.catalog import Table

HEADER = '''"""Tables of {name}, as its service has them. Alembic's lineage {name} is checked against them."""

{imports}

metadata = sa.MetaData(schema="{name}")
'''

# SQL in them was compiled for the driver, which doubles %.
COMPILED = frozenset({"text", "literal_column", "CheckConstraint", "Computed"})


class _Named(TypeEngine[Any]):
    """A type that SQLAlchemy does not know, in the server's words."""

    def __init__(self, spec: str) -> None:
        self.spec = spec


def reflect(conn: sa.Connection, tables: tuple[Table, ...], name: str, rename: Callable[[str], str]) -> sa.MetaData:
    """The tables with another schema's name. rename: gives SQL its new schema."""
    there, here = sa.MetaData(), sa.MetaData(schema=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        for table in tables:
            sa.Table(table.name, there, schema=table.schema, autoload_with=conn, resolve_fks=False)
    for table in tables:
        reflected = there.tables[f"{table.schema}.{table.name}"]
        for column in reflected.columns:
            _settle(column, table, name, rename)
        for constraint in set(reflected.constraints):
            if isinstance(constraint, sa.CheckConstraint):
                constraint.sqltext = sa.text(rename(str(constraint.sqltext)).replace(":", r"\:"))
            elif isinstance(constraint, sa.ForeignKeyConstraint) and refers_to(constraint) not in there.tables:
                # To a partition: its root's key implies it. To a table that stays behind: skeleton.py names it.
                reflected.constraints.discard(constraint)
        reflected.to_metadata(here, schema=name, referred_schema_fn=partial(_referred, table.schema, name))
    return here


def refers_to(constraint: sa.ForeignKeyConstraint) -> str:
    """``schema.table`` that a reflected foreign key refers to."""
    return constraint.elements[0].target_fullname.rpartition(".")[0]


def _referred(ours: str, name: str, _table: Any, _to: Any, _key: Any, schema: str | None) -> str | None:
    return name if schema == ours else schema


def _settle(column: sa.Column[Any], table: Table, name: str, rename: Callable[[str], str]) -> None:
    element = column.type.item_type if isinstance(column.type, sa.ARRAY) else column.type
    if isinstance(element, NullType | DOMAIN):
        column.type = _Named(table.column(column.name).type)
    elif isinstance(element, sa.Enum):
        element.schema = name
    if isinstance(column.server_default, sa.DefaultClause):
        text = rename(str(column.server_default.arg)).replace(":", r"\:").replace(r"\:\:", "::")
        column.server_default = sa.DefaultClause(sa.text(text))


def code(metadata: sa.MetaData, conn: sa.Connection) -> str:
    """The module that makes this metadata. conn: of a database without the schema."""
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == metadata.schema,
    }
    context = MigrationContext.configure(conn, opts=options)
    upgrade = produce_migrations(context, metadata).upgrade_ops
    assert upgrade is not None  # noqa: S101 - narrows the type for mypy
    text = render_python_code(upgrade, render_item=_render, migration_context=context)
    calls = [node.value for node in ast.parse(text.replace("\n    ", "\n")).body if isinstance(node, ast.Expr)]
    made = _tables([call for call in calls if isinstance(call, ast.Call)])
    body = "\n\n".join(ast.unparse(node) for node in made)
    imports = ["import sqlalchemy as sa"]
    imports += ["from sqlalchemy.dialects import postgresql"] if "postgresql." in body else []
    imports += ["\nfrom storage_service.db.base import NamedType"] if "NamedType(" in body else []
    return HEADER.format(name=metadata.schema, imports="\n".join(imports)) + "\n" + body + "\n"


def _render(kind: str, item: Any, _context: Any) -> Any:
    return f"NamedType({item.spec!r})" if kind == "type" and isinstance(item, _Named) else False


class _AsModel(ast.NodeTransformer):
    """Operations' words as models have them: ``op.f(name)`` is the name."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        word = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if word == "f":
            return node.args[0]
        first = node.args[0] if node.args else None
        if word in COMPILED and isinstance(first, ast.Constant) and isinstance(first.value, str):
            first.value = first.value.replace("%%", "%")
        return node


def _tables(calls: list[ast.Call]) -> list[ast.expr]:
    """``op.create_table`` and the ``op.create_index`` of each table as one ``sa.Table``."""
    made: dict[str, ast.Call] = {}
    for call in calls:
        plain = _AsModel().visit(call)
        operation = plain.func.attr
        keywords = [word for word in plain.keywords if word.arg != "schema"]
        if operation == "create_table":
            name, *rest = plain.args
            made[name.value] = ast.Call(_sa("Table"), [name, ast.Name("metadata"), *rest], keywords)
        elif operation == "create_index":
            index, table, columns = plain.args
            made[table.value].args.append(ast.Call(_sa("Index"), [index, *columns.elts], keywords))
    return list(made.values())


def _sa(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("sa"), name)
