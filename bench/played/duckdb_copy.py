"""DuckDB, which reads SQLite files and writes to PostgreSQL by extensions of its own.

`python -m bench.played.duckdb_copy`. It would download the extensions; here they come in wheels,
and DuckDB checks its own signature of them.
"""

import asyncio
import importlib.util
import time
from pathlib import Path

import duckdb

from bench.played.commands import answer_commands

_EXTENSIONS = ("sqlite_scanner", "postgres_scanner")


async def _copy(source: str, table: str, dsn: str) -> float:
    """Seconds for a table of the file into a new one of the same name in schema public."""
    with duckdb.connect() as connection:
        for each in _EXTENSIONS:
            connection.execute(f"LOAD '{_extension(each)}'")
        connection.execute(f"ATTACH '{source}' AS source (TYPE sqlite, READ_ONLY)")
        quoted = dsn.replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS target (TYPE postgres)")
        connection.execute(f"DROP TABLE IF EXISTS target.public.{table}")
        began = time.monotonic()
        connection.execute(f"CREATE TABLE target.public.{table} AS SELECT * FROM source.{table}")
        return time.monotonic() - began


async def _version() -> str:
    return duckdb.__version__


def _extension(name: str) -> Path:
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (directory,) = spec.submodule_search_locations
    (file,) = Path(directory).rglob(f"v{duckdb.__version__}/*.duckdb_extension")
    return file


if __name__ == "__main__":
    asyncio.run(answer_commands({"copy": _copy, "version": _version}))
