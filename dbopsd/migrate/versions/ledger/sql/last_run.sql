-- summary: SELECT migration_runs
SELECT pg_catalog.max(r.id) FROM {migration_runs} AS r
