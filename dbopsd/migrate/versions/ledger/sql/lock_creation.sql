-- summary: SELECT pg_advisory_xact_lock
-- The lock under which imports create their records, in the same schema: CREATE ... IF NOT EXISTS fails
-- where another transaction creates the same thing at the same time.
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('dbops.imports', 0))
