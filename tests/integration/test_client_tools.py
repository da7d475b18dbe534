"""PostgreSQL's own programs: which are found, and how they log in."""

import stat
import subprocess
from pathlib import Path

import pytest

from dbopsd.db.client_tools import ToolsTooOld, at_least, installations, same_major, write_login
from dbopsd.db.server.errors import InstallationUnusable
from tests.support.servers import PostgresServer, PostgresServers

TOOLS = ("pg_basebackup", "pg_dump")


async def test_the_named_installation_comes_first(postgres: PostgresServer) -> None:
    found = await installations(postgres.bin_dir)
    assert found[0].bin_dir == postgres.bin_dir
    assert found[0].major == postgres.version


async def test_a_named_place_without_programs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InstallationUnusable, match=str(tmp_path)):
        await installations(tmp_path)


async def test_physical_backups_need_the_servers_own_version(postgres: PostgresServer) -> None:
    chosen = await same_major("main", postgres.bin_dir, postgres.version, TOOLS)
    assert chosen.major == postgres.version
    with pytest.raises(ToolsTooOld) as caught:
        await same_major("main", postgres.bin_dir, 99, TOOLS)
    assert caught.value.reason == "TOOLS_TOO_OLD"
    assert "version 99" in caught.value.message
    assert "databases.main.pg_bin" in caught.value.message


async def test_a_dump_may_be_taken_by_newer_programs(servers: PostgresServers) -> None:
    found = [servers.installation(18), servers.installation(17)]
    assert at_least("main", found, 15, TOOLS).major == 17
    assert at_least("main", found, 18, TOOLS).major == 18
    with pytest.raises(ToolsTooOld):
        at_least("main", found, 19, TOOLS)
    with pytest.raises(ToolsTooOld):
        at_least("main", found, 15, ("pg_nonesuch",))


def test_a_program_logs_in_without_a_password_among_its_arguments(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    login = write_login(tmp_path, postgres.dsn(application_name="dbopsd tools"))
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    done = subprocess.run(
        [
            postgres.bin_dir / "psql",
            "--no-psqlrc",
            "--tuples-only",
            "--command=SELECT pg_catalog.current_setting('application_name')",
            f"--dbname={login.dbname}",
        ],
        env={**login.environment, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "dbopsd tools"


@pytest.mark.parametrize("value", ["two\nlines", " blanks"])
def test_a_value_that_the_file_cannot_hold(tmp_path: Path, value: str) -> None:
    escaped = value.replace("'", r"\'")
    with pytest.raises(ValueError, match="parameter 'password' of the dsn has"):
        write_login(tmp_path, f"host=x password='{escaped}'")
