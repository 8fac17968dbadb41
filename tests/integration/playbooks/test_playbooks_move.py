"""Tables that lie in the storage database already, moved and moved back by the playbooks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from consolidation import model
from consolidation.schema import phase as schema
from demo import data
from tests import playbooks
from tests.cluster import Cluster
from tests.playbooks import Site


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Site:
    """The Campaign Service's tables in schema public of the storage database, as the lineage has them."""
    storage = cluster.target(cluster.server("target", 18))
    elsewhere = replace(storage.settings, dbname="elsewhere")
    copied = model.Database("campaign_db", elsewhere, "public", (), storage.settings)
    ddl = "\n".join(revision.sql for revision in schema.plan(copied).pending)
    storage.execute("GRANT storage_owner TO consolidation; GRANT CREATE, USAGE ON SCHEMA public TO storage_owner")
    storage.execute(ddl.replace("campaign_db.", "public."), role="storage_owner")
    storage.execute(
        "INSERT INTO campaigns (id, name, creator_id, owner_id) SELECT gen_random_uuid(), i::text, gen_random_uuid(),"
        " gen_random_uuid() FROM generate_series(1, 100) i;"
        " INSERT INTO chapters (id, campaign_id, title, sequence_number) SELECT id, id, name, 1 FROM campaigns;"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON campaigns, chapters TO storage_service"
    )
    site = Site(tmp_path, {"campaign_db": storage}, storage)
    connection = playbooks.connection(storage)
    database = {
        "name": "campaign_db",
        "source": connection,
        "source_schema": "public",
        "tables": list(data.SERVICES["campaign"]),
        "application_roles": [playbooks.STORAGE_ROLE],
        "target": connection,
        "target_roles": [playbooks.STORAGE_ROLE],
    }
    playbooks.write_inventory(site, {"campaign_db": database})
    return site


def test_moved_written_moved_back_and_moved_again(site: Site) -> None:
    clean = site.everything()
    rows = site.contents("source")
    looked = site.play("migrate.yml", "--check", "--diff", confirm=False).succeeded()
    assert "TABLE campaigns: public -> campaign_db" in looked.text
    assert site.everything() == clean

    site.play("migrate.yml").succeeded()
    assert site.contents("target") == rows
    assert site.is_open("target")
    assert site.target.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    site.play("migrate.yml").unchanged("campaign_db")
    site.write("target")
    newest = site.contents("target")
    site.play("rollback.yml").succeeded()
    assert site.contents("source") == newest != rows
    assert site.is_open("source")
    site.play("rollback.yml").unchanged("campaign_db")
    site.play("migrate.yml").succeeded()
    assert site.contents("target") == newest
