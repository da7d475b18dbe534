"""The limit of every import: a ready file of a binary COPY, sent in one stream, and nothing else.

`python -m bench.played.binary_copy DSN`
"""

import asyncio
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql

from bench.played.commands import answer_commands

_CHUNK_BYTES = 2**18


class _Copier:
    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection

    async def dump(self, schema: str, table: str, path: str) -> float:
        """Write all rows of a table into the file; its size in MB."""
        text = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(schema, table))
        with Path(path).open("wb") as file, self._connection.cursor().copy(text) as copy:
            file.writelines(copy)
        return Path(path).stat().st_size / 1e6

    async def load(self, schema: str, table: str, path: str) -> float:
        """Seconds for the file into a new table like that one, without its keys and indexes."""
        like = sql.Identifier(schema, table)
        self._connection.execute("DROP TABLE IF EXISTS public.loaded")
        self._connection.execute(sql.SQL("CREATE TABLE public.loaded (LIKE {})").format(like))
        began = time.monotonic()
        with (
            Path(path).open("rb") as file,
            self._connection.cursor().copy("COPY public.loaded FROM STDIN (FORMAT binary)") as copy,
        ):
            while data := file.read(_CHUNK_BYTES):
                copy.write(data)
        return time.monotonic() - began


async def _main(dsn: str) -> None:
    # It does one thing at a time: to block its event loop is no harm.
    with psycopg.connect(dsn, autocommit=True) as connection:
        copier = _Copier(connection)
        await answer_commands({"dump": copier.dump, "load": copier.load})


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
