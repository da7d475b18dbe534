"""Objects that somebody changes: what is locked has no sample of its own, everything else has."""

from collections.abc import Callable

import psycopg
import pytest

from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.sampling import sampling

_SCHEMA = """
CREATE TABLE changed (id bigserial PRIMARY KEY, text text);
CREATE TABLE other (id bigserial PRIMARY KEY, text text);
CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM other;
INSERT INTO changed (text) SELECT repeat('x', 100) FROM generate_series(1, 1000);
INSERT INTO other (text) SELECT repeat('x', 100) FROM generate_series(1, 1000);
"""


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE changed ADD COLUMN more int",
        "ALTER SEQUENCE changed_id_seq MAXVALUE 100000",
        "TRUNCATE changed",
        "REINDEX TABLE changed",
        "DROP MATERIALIZED VIEW kept",
        "ALTER INDEX changed_pkey RENAME TO renamed",
    ],
)
async def test_an_object_that_is_being_changed_costs_no_other_its_samples(
    open_database: OpenDatabase, make_database: Callable[..., str], change: str
) -> None:
    dsn = make_database(_SCHEMA)
    with psycopg.connect(dsn) as connection:
        connection.execute(change)
        database = await open_database(dsn)
        async with sampling(database) as sampled:
            await eventually(sampled.all_ran, 60)
            assert sampled.failures() == {}
            (name,) = {labels[0] for labels in sampled.series("pg_stat_user_tables_seq_scan")}
            size = sampled.value("pg_stat_user_tables_table_size_bytes", name, "public", "other")
            assert size is not None
            assert size > 100_000
            assert sampled.value("pg_sequence_used_ratio", name, "public", "other_id_seq")
        connection.rollback()
