"""The generated data: the same for the same seed on every version, and nasty where it should be."""

from __future__ import annotations

import pytest

from demo import data
from tests.cluster import Database

DIGEST = "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY id)) FROM {} AS t"


def digests(database: Database, service: str) -> dict[str, tuple[object, ...]]:
    return {table: database.rows(DIGEST.format(table), user="consolidation")[0] for table in data.SERVICES[service]}


@pytest.mark.every_pair
def test_same_seed_gives_same_rows_on_every_version(campaign: Database, image: Database) -> None:
    found = digests(campaign, "campaign") | digests(image, "image")
    assert found == {
        "campaigns": (40, "6f2f63a70e65ef349daf61ef200502b1"),
        "chapters": (200, "bf8810a55335c36d8976efa3b191a7b8"),
        "images": (60, "34d3993ebca51daf5af624496e82d4de"),
        "overlays": (120, "308b4cd3c8745f4062faa3d23bfb6ec1"),
    }


def test_another_seed_gives_other_rows(campaign: Database) -> None:
    before = digests(campaign, "campaign")
    campaign.execute("TRUNCATE campaigns, chapters")
    data.generate(campaign.server, "campaign", data.Volume(campaigns=40, chapters=200), seed=2)
    after = digests(campaign, "campaign")
    assert all(before[table] != after[table] for table in before)


def test_batches_do_not_change_the_rows(campaign: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests(campaign, "campaign")
    campaign.execute("TRUNCATE campaigns, chapters")
    monkeypatch.setattr(data, "BATCH_ROWS", 7)
    done: dict[str, int] = {"campaigns": 0, "chapters": 0}

    def progress(table: str, rows: int) -> None:
        done[table] += rows

    data.generate(campaign.server, "campaign", data.Volume(campaigns=40, chapters=200), progress=progress)
    assert digests(campaign, "campaign") == before
    assert done == {"campaigns": 40, "chapters": 200}


def test_tables_belong_to_the_owner_and_the_application_may_use_them(campaign: Database) -> None:
    owners = campaign.rows("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [("campaign_owner",)]
    campaign.execute("UPDATE chapters SET title = title; DELETE FROM chapters", user="campaign_app")


@pytest.mark.parametrize(
    "condition",
    [
        "description IS NULL",
        "description = ''",
        "description = 'NULL'",
        "position(E'\\n' in description) > 0",
        "description LIKE '%''%\"%'",
        "theme_data::text LIKE '%-0,%1.0,%1e5%'",
        'theme_data::text LIKE \'%"repeated": 1, "repeated": 2%\'',
        "extract(microseconds FROM created_at)::int % 1000 > 0",
        "created_at = '2024-10-27 01:30:00+00'",
        "is_deleted AND deleted_at IS NOT NULL",
    ],
)
def test_nasty_values_are_among_the_rows(campaign: Database, condition: str) -> None:
    assert campaign.value(f"SELECT count(*) FROM campaigns WHERE {condition}") > 0


def test_some_images_are_large(image: Database) -> None:
    assert 200_000 < image.value("SELECT max(octet_length(content::text)) FROM images") < 350_000


def test_scale_multiplies_every_table() -> None:
    assert data.Volume.scaled(2) == data.Volume(40_000, 400_000, 120_000, 240_000)
    assert data.Volume.scaled(0.000001) == data.Volume(1, 1, 1, 1)
