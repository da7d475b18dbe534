"""Workers, the API and both are killed while operations run, and every promise is kept."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support.campaign import Campaign
from tests.support.fleet import Fleet
from tests.support.soak import Soak


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.thorough)])
def control_url(request: pytest.FixtureRequest, make_database: Callable[..., str]) -> str | None:
    return as_url(make_database()) if request.param == "postgresql" else None


def as_url(dsn: str) -> str:
    """A DSN of keywords as a URL."""
    words = conninfo_to_dict(dsn)
    where = f"{words.pop('user')}@{words.pop('host')}:{words.pop('port')}/{words.pop('dbname')}"
    return f"postgresql://{where}?{urlencode(words)}"


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_operations_survive_kills_at_random_moments(
    tmp_path: Path, database_dsn: str, control_url: str | None, soak: Soak
) -> None:
    fleet = Fleet(tmp_path, dsn=database_dsn, control_url=control_url, replicas=1, workers=2)
    async with fleet, Campaign(fleet, soak.random()) as campaign:
        await fleet.at_work()
        (api,), (one, other) = fleet.replicas, fleet.workers
        victims = [[one], [other], [api], [api, one], [api, one, other]]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(campaign.ask(soak.scale(30, 300), over_s=soak.scale(10, 150)))
            tasks.create_task(campaign.kill(soak.scale(4, 50), victims=victims, pause_s=2))
        await campaign.all_ended(60)
        states = await campaign.judge()
    print(f"--seed={soak.seed}: {dict(states)}; killed: {dict(campaign.kills)}")


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.thorough
async def test_replicas_and_workers_share_the_work_however_many_die(
    tmp_path: Path, database_dsn: str, make_database: Callable[..., str], soak: Soak
) -> None:
    url = as_url(make_database())
    fleet = Fleet(tmp_path, dsn=database_dsn, control_url=url, replicas=2, workers=3)
    async with fleet, Campaign(fleet, soak.random()) as campaign:
        await fleet.at_work()
        victims = [[worker] for worker in fleet.workers]
        count, over_s = soak.scale((60, 10), (500, 100))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(campaign.ask(count, over_s=over_s, short=True))
            tasks.create_task(campaign.kill(soak.scale(4, 50), victims=victims, pause_s=2))
        await campaign.all_ended(60)
        states = await campaign.judge()
        assert states.total() == count
    print(f"--seed={soak.seed}: {dict(states)}; killed: {dict(campaign.kills)}")
