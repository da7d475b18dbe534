"""A process that applies the migrations of a folder, several times at once, until it is killed.

`python -m tests.support.migrating DIRECTORY DSN NUMBER` does it NUMBER times side by side, and
prints how each of them ended.
"""

import asyncio
import sys
from pathlib import Path

from dbopsd.errors import DbopsError
from tests.support.migration_site import MigrationSite, migration_site
from tests.support.recording import Recording


async def _apply(site: MigrationSite, name: str) -> str:
    try:
        report = await site.apply_unchecked(site.run(name))
    except DbopsError as error:
        return f"FAILED {error.message}"
    return report.outcome.value


async def _main(directory: Path, dsn: str, number: int) -> None:
    async with migration_site(directory, dsn, Recording().telemetry) as site:
        names = [f"{directory.name}-{each}" for each in range(number)]
        for outcome in await asyncio.gather(*(_apply(site, name) for name in names)):
            print(outcome)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
