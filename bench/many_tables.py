"""A server with many tables and indexes, and roles that watch it."""

import psycopg

from tests.support.servers import PostgresServer

_INDEXES_A_TABLE = 4
_TABLES_AT_ONCE = 200
_ROWS_A_TABLE = 200

_CREATE = """
DO $$
BEGIN
  FOR number IN {first} .. {last} LOOP
    EXECUTE pg_catalog.format(
      'CREATE TABLE public.table_%s (a int, b int, c int, d text, PRIMARY KEY (a))', number);
    EXECUTE pg_catalog.format('INSERT INTO public.table_%s
      SELECT i, i %% 7, i %% 11, pg_catalog.repeat(''x'', 100)
      FROM pg_catalog.generate_series(1, {rows}) AS i', number);
    EXECUTE pg_catalog.format('CREATE INDEX ON public.table_%s (b)', number);
    EXECUTE pg_catalog.format('CREATE INDEX ON public.table_%s (c)', number);
    EXECUTE pg_catalog.format('CREATE INDEX ON public.table_%s (b, c)', number);
  END LOOP;
END $$
"""


def create_tables(server: PostgresServer, tables: int) -> int:
    """Create that many in database `postgres`; how many indexes they have."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for first in range(1, tables + 1, _TABLES_AT_ONCE):
            last = min(first + _TABLES_AT_ONCE - 1, tables)
            connection.execute(_CREATE.format(first=first, last=last, rows=_ROWS_A_TABLE))
        connection.execute("VACUUM (ANALYZE)")
    return tables * _INDEXES_A_TABLE


def create_watcher(server: PostgresServer, role: str) -> str:
    """A role with what a sampler is to have; its DSN."""
    server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}' IN ROLE pg_monitor")
    return f"postgresql://{role}:{role}@{server.host}:{server.port}/postgres?sslmode=disable"
