"""Documents that a service could not write any more after the cutover are named before the window."""

from __future__ import annotations

from pathlib import Path

import pytest
from storage_service.config import StorageServerConfig

from consolidation.preflight import documents
from consolidation.preflight.findings import Finding
from consolidation.preflight.phase import Options, examine
from demo.servers import installations
from tests.cluster import Database
from tests.window import Window

LIMIT = 100_000
# Text that does not compress.
DENSE = "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, {}) AS g)"
DOCUMENTS = f"""
    CREATE DOMAIN public.doc AS json;
    CREATE TABLE public.docs (id int PRIMARY KEY, sparse jsonb, dense json, small jsonb, "Domain" public.doc, t text);
    INSERT INTO public.docs (id, sparse) SELECT n, to_jsonb(repeat('x', n)) FROM (VALUES (150000), (120000)) AS v (n);
    INSERT INTO public.docs (id, dense) VALUES (3, to_json({DENSE.format(3200)}));
    INSERT INTO public.docs (id, small) VALUES (4, to_jsonb({DENSE.format(2900)})), (5, to_jsonb(repeat('x', 99000)));
    INSERT INTO public.docs (id, "Domain", t) VALUES (6, to_json(repeat('x', 130000)), {DENSE.format(9000)});
"""


def named(source: Database, target: Database, directory: Path, kind: str) -> list[Finding]:
    """The findings of one kind."""
    options = Options(backup_directory=directory, postgresql_bin=installations()[max(installations())])
    return [found for found in examine(Window(source, target).database, options).findings if found.id == kind]


def test_the_limit_is_the_services() -> None:
    assert StorageServerConfig(port=1).body_limit_bytes == documents.BODY_BYTES


def test_documents_larger_than_a_body_are_counted_however_they_are_stored(
    campaign: Database, target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "BODY_BYTES", LIMIT)
    campaign.execute(DOCUMENTS, role="campaign_owner")
    found = {each.subject: each for each in named(campaign, target, tmp_path, "source.document.large")}
    assert set(found) == {f"public.docs.{name}" for name in ("sparse", "dense", "Domain")}
    assert found["public.docs.sparse"].what.startswith("2 document(s) above 100 kB, the largest 150 kB")
    assert "is at least 2097152" in found["public.docs.dense"].fix
    assert named(campaign, target, tmp_path, "source.document.not_measured") == []


def test_documents_that_are_not_measured_are_named(
    campaign: Database, target: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "BODY_BYTES", LIMIT)
    monkeypatch.setattr(documents, "MEASURED_BYTES", 50_000)
    campaign.execute(DOCUMENTS, role="campaign_owner")
    unknown = {each.subject: each for each in named(campaign, target, tmp_path, "source.document.not_measured")}
    assert set(unknown) == {"public.docs.dense", "public.docs.small"}
    statement = unknown["public.docs.dense"].fix.partition("measure it: ")[2].rstrip(";")
    assert campaign.value(statement) == 32 * 3200 + 2


@pytest.mark.parametrize(("there", "here"), [("2MB", "1MB"), ("1MB", "1MB"), ("1MB", "2MB")])
def test_a_server_that_takes_less_deep_documents_is_named(
    campaign: Database, target: Database, tmp_path: Path, there: str, here: str
) -> None:
    for database, depth in ((campaign, there), (target, here)):
        database.execute(f"ALTER DATABASE {database.settings.dbname} SET max_stack_depth = '{depth}'")
    found = named(campaign, target, tmp_path, "target.stack_depth")
    assert [each.severity for each in found] == ["warning"] * (there > here)
    assert all("max_stack_depth = '2048kB'" in each.fix for each in found)
