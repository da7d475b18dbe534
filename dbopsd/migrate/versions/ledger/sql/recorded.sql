-- summary: INSERT migration_runs
-- Fails, and with it the COMMIT that is sent behind it, where a trigger keeps the row out: the logarithm of
-- no row is not defined.
WITH recorded AS ({insert})
SELECT pg_catalog.ln(pg_catalog.count(*)::pg_catalog.float8) FROM recorded
