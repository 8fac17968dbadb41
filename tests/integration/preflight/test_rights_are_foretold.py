"""No right that the runbook lacks is new behind the fence: preflight says so, or the run goes on without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from consolidation.preflight.findings import BLOCKER
from consolidation.preflight.phase import Options, examine
from demo.servers import installations
from tests.cluster import Database
from tests.window import Window

SOURCE = {
    "the owner's role": "REVOKE campaign_owner FROM consolidation",
    "the application's role": "REVOKE campaign_app FROM consolidation",
    "CONNECT": "REVOKE CONNECT ON DATABASE campaign FROM PUBLIC, consolidation",
    "CREATE": "REVOKE CREATE ON DATABASE campaign FROM consolidation",
    "TEMPORARY": "REVOKE TEMPORARY ON DATABASE campaign FROM PUBLIC, consolidation",
    "USAGE": "REVOKE USAGE ON SCHEMA public FROM PUBLIC, campaign_app, campaign_owner",
    "rows": "REVOKE ALL ON chapters FROM campaign_app, campaign_owner",
    "sessions": "REVOKE pg_read_all_stats FROM consolidation",
    "databases": "ALTER ROLE consolidation NOCREATEDB",
    "inheritance": "ALTER ROLE consolidation NOINHERIT",
}
TARGET = {
    "the service's role": "REVOKE storage_service FROM consolidation",
    "CONNECT": "REVOKE CONNECT ON DATABASE storage FROM PUBLIC, consolidation",
    "CREATE": "REVOKE CREATE ON DATABASE storage FROM consolidation",
    "TEMPORARY": "REVOKE TEMPORARY ON DATABASE storage FROM PUBLIC, consolidation",
    "CONNECT of the service": "REVOKE CONNECT ON DATABASE storage FROM PUBLIC, storage_service",
    "sessions": "REVOKE pg_read_all_stats FROM consolidation",
    "inheritance": "ALTER ROLE consolidation NOINHERIT",
}
LACKS = {
    **{f"source: {name}": ("source", done) for name, done in SOURCE.items()},
    **{f"target: {name}": ("target", done) for name, done in TARGET.items()},
}


@pytest.mark.parametrize(("side", "done"), LACKS.values(), ids=LACKS)
def test_what_is_lacking_is_a_blocker_or_not_needed(
    campaign: Database, target: Database, tmp_path: Path, side: str, done: str
) -> None:
    campaign.execute("ALTER DATABASE campaign OWNER TO postgres; ALTER SCHEMA public OWNER TO postgres")
    window = Window(campaign, target)
    (campaign if side == "source" else target).execute(done)
    options = Options(backup_directory=tmp_path, postgresql_bin=installations()[18])
    if [found.id for found in examine(window.database, options).findings if found.severity == BLOCKER]:
        return
    window.begin()
    window.schema()
    window.fence("source", "closed")
    window.copy()
    window.verify()
    window.cutover()
