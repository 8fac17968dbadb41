"""A database's mode follows from where it is and what is wanted; its value survives the way to another process."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from consolidation.errors import ConfigurationError
from consolidation.model import Database
from consolidation.modes.choice import MODES
from consolidation.modes.copy import COPY
from consolidation.modes.move import MOVE
from consolidation.modes.online import ONLINE
from consolidation.modes.strategy import Strategy
from consolidation.module import arguments
from consolidation.postgres.connection import Settings

HERE = Settings("old", "campaign", "runbook", 5433, passfile="/secrets/passfile", sslmode="verify-full")
THERE = Settings("storage", "storage", "runbook")
COPIED = Database("campaign_db", HERE, "public", ("campaigns",), THERE, ("campaign_app",), ("storage_service",))


@pytest.mark.parametrize(
    ("database", "strategy"),
    [
        (COPIED, COPY),
        (replace(COPIED, mode="online"), ONLINE),
        (replace(COPIED, source=replace(THERE, user="another")), MOVE),
    ],
)
def test_a_database_reaches_another_process_as_it_is(database: Database, strategy: Strategy) -> None:
    assert database.strategy == strategy
    options = json.loads(json.dumps(database.as_json()))
    assert Database.from_options(options) == database
    assert options.keys() == arguments.database()["database"]["options"].keys()


def test_no_two_modes_are_for_the_same_database() -> None:
    """By its name for the journal, and by what it is chosen for."""
    assert len({mode.name for mode in MODES}) == len(MODES)
    assert len({(mode.wanted, mode.two_copies) for mode in MODES}) == len(MODES)


def test_what_is_moved_is_not_followed() -> None:
    with pytest.raises(ConfigurationError, match="nothing to follow"):
        Database.from_options(replace(COPIED, source=THERE, mode="online").as_json())
