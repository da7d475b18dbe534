-- summary: SELECT pg_advisory_xact_lock
SELECT pg_advisory_xact_lock(hashtextextended('dbops.imports', 0))
