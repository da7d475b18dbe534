-- summary: SELECT pg_advisory_unlock
SELECT pg_catalog.pg_advisory_unlock(%s::pg_catalog.int8)
