-- summary: SELECT pg_advisory_xact_lock
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('dbops.imports', 0))
