-- summary: SELECT pg_try_advisory_lock
SELECT pg_catalog.pg_try_advisory_lock(%s::pg_catalog.int8)
