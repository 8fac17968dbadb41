"""Schemas as services have them: SQL of the source, DDL of a lineage made for the test, and its models."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

from consolidation import installation
from consolidation.journal import records
from consolidation.preflight import phase as preflight
from consolidation.preflight.findings import BLOCKER, Finding
from consolidation.preflight.kinds import KINDS
from consolidation.verify import phase as verify
from tests.cluster import Database
from tests.window import Window

NAME = "svc_db"
REVISION = f'''"""create"""
from pathlib import Path
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "{NAME}_0001", None, ("{NAME}",), None
def upgrade():
    op.execute("CREATE SCHEMA IF NOT EXISTS {NAME}")
    op.execute(sa.text((Path(__file__).parent / "ddl.sql").read_text().replace(":", "\\\\:")))
def downgrade():
    op.execute("DROP SCHEMA {NAME} CASCADE")
'''


class Raw(UserDefinedType[Any]):
    """A type that SQLAlchemy does not know, spelt as given."""

    cache_ok = True

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def get_col_spec(self, **_: Any) -> str:
        return self.spec


def key() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)


def models(*tables: tuple[Any, ...]) -> sa.MetaData:
    """(name, column, …) of each table."""
    metadata = sa.MetaData(schema=NAME)
    for name, *columns in tables:
        sa.Table(name, metadata, *columns)
    return metadata


@dataclass
class Service:
    """A service database, its lineage, and a window for both."""

    source: Database
    target: Database
    directory: Path
    lay: Callable[[str, sa.MetaData], None]
    source_schema: str = "public"
    tables: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()

    @property
    def window(self) -> Window:
        return Window(
            self.source, self.target, NAME, ["svc_app"], self.source_schema, list(self.tables), list(self.accepted)
        )

    def migrate(self) -> None:
        """Begin, build, fence, copy, verify, cut over."""
        window = self.window
        window.begin()
        window.schema()
        window.fence("source", "closed")
        window.copy()
        verify.apply(verify.plan(window.database), verify.Options())
        window.cutover()
        window.end(records.MIGRATED)

    def owner(self, statements: str) -> None:
        """Run on the source as the owner of the tables."""
        self.source.execute(statements, role="svc_owner")

    def findings(self, *accepted: str, application_roles: Sequence[str] = ("svc_app",)) -> tuple[Finding, ...]:
        options = preflight.Options(self.directory, self.target.server.bin, accepted=accepted)
        database = replace(self.window.database, application_roles=tuple(application_roles))
        return preflight.examine(database, options).findings

    def found(self, prefix: str, *accepted: str) -> list[Finding]:
        """The findings whose id begins so."""
        return [finding for finding in self.findings(*accepted) if finding.id.startswith(prefix)]

    def blockers(self, *, accepting: bool = False) -> set[str]:
        """Ids of the blockers; accepting: once every one that can be accepted is."""
        findings = self.findings()
        if accepting:
            accepted = [f"{f.id} {f.subject}" for f in findings if f.severity == BLOCKER and KINDS[f.id].acceptable]
            findings = self.findings(*accepted)
        return {finding.id for finding in findings if finding.severity == BLOCKER}


def service(source: Database, target: Database, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service `svc` on these servers. Its lineage lies in a folder of the test's own, beside those of the project."""
    scripts = directory / "alembic"
    shutil.copytree(installation.script_directory(), scripts)
    for name, module in list(sys.modules.items()):
        if name.startswith("consolidation.") and hasattr(module, "script_directory"):
            monkeypatch.setattr(module, "script_directory", lambda: scripts)

    def lay(ddl: str, metadata: sa.MetaData) -> None:
        folder = scripts / "versions" / NAME
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "ddl.sql").write_text(ddl or "SELECT 1", encoding="utf-8")
        (folder / f"{NAME}_0001_create.py").write_text(REVISION, encoding="utf-8")
        module = ModuleType(f"storage_service.databases.{NAME}.models")
        module.metadata = metadata  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    source.execute("GRANT CREATE ON DATABASE svc TO svc_owner")
    return Service(source, target, directory, lay)
