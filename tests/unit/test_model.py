"""A database's mode follows from where it is and what is wanted; its value survives the way to another process."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from consolidation.errors import ConfigurationError
from consolidation.model import Database, Mode
from consolidation.module import arguments
from consolidation.postgres.connection import Settings

HERE = Settings("old", "campaign", "runbook", 5433, passfile="/secrets/passfile", sslmode="verify-full")
THERE = Settings("storage", "storage", "runbook")
COPIED = Database("campaign_db", HERE, "public", ("campaigns",), THERE, ("campaign_app",), ("storage_service",))


@pytest.mark.parametrize(
    ("database", "mode", "copies"),
    [
        (COPIED, Mode.COPY, True),
        (replace(COPIED, online=True), Mode.ONLINE, True),
        (replace(COPIED, source=replace(THERE, user="another")), Mode.MOVE, False),
    ],
)
def test_a_database_reaches_another_process_as_it_is(database: Database, mode: Mode, copies: bool) -> None:
    assert (database.mode, database.mode.copies) == (mode, copies)
    options = json.loads(json.dumps(database.as_json()))
    assert Database.from_options(options) == database
    assert options.keys() == arguments.database()["database"]["options"].keys()


def test_what_is_moved_is_not_followed() -> None:
    with pytest.raises(ConfigurationError, match="nothing to follow"):
        Database.from_options(replace(COPIED, source=THERE, online=True).as_json())
