-- summary: SELECT pg_try_advisory_lock
-- Who has it is still busy with the databases whose names begin so.
SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(%(name)s, 0))
