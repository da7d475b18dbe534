"""`dbops backup` with a store on a real S3 server."""

from collections.abc import Iterator

import pytest

from tests.support.backup_site import BackupSite, backup_site
from tests.support.s3_servers import BUCKET, S3Server, s3_server


@pytest.fixture(
    scope="module",
    params=["moto", pytest.param("localbucket", marks=pytest.mark.thorough)],
)
def s3(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    with s3_server(request.param, tmp_path_factory.mktemp("s3") / "root") as server:
        yield server


@pytest.fixture
def site(s3: S3Server) -> Iterator[BackupSite]:
    access = {"endpoint": s3.endpoint, "region": "us-east-1"}
    secret = {"access_key_id": "test", "secret_access_key": "test"}
    with backup_site(store=f"s3://{BUCKET}/some/prefix", **access, **secret) as found:
        found.sql("CREATE TABLE numbers (number int PRIMARY KEY)")
        yield found


@pytest.mark.thorough
def test_backups_are_made_found_verified_and_restored(site: BackupSite, s3: S3Server) -> None:
    site.add(1)
    full = site.json("create")
    site.add(2)
    incremental = site.json("create", "--kind", "incremental")
    site.add(3)
    site.wait_until_archived()
    assert incremental["parent"] == full["name"]
    listed = site.json("list")["backups"]
    assert [each["name"] for each in listed] == [full["name"], incremental["name"]]
    status = site.json("wal", "status")
    assert (status["state"], status["problem"]) == ("STREAMING", "")
    verified = site.json("verify", "--depth", "contents")
    assert verified["ok"] is True, verified
    assert verified["wal"]["segments"] > 0
    assert site.restored("--latest") == [1, 2, 3]
    assert site.restored("--immediate", "--backup", full["name"]) == [1]
    drill = site.json("drill", "--latest")
    assert drill["ok"] is True, drill
    assert site.json("describe", incremental["name"])["lastDrillOk"] is True
    (window,) = site.json("windows")["windows"]
    assert window["backup"] == full["name"]
    assert {each["name"] for each in site.json("retention", "--validate-only")["kept"]} == {
        full["name"],
        incremental["name"],
    }
    assert site.json("rotate-keys", "--to", "k2")["rewrapped"] > 0
    assert "BACKUP_IS_NEWEST" in site.refused("delete", full["name"], "--with-children")
    newest = site.json("create")
    site.json("delete", full["name"], "--with-children")
    assert [each["name"] for each in site.json("list", "--all")["backups"]] == [newest["name"]]
    assert s3.unfinished_uploads() == []
