-- summary: SELECT migration_runs
SELECT coalesce(pg_catalog.max(r.id), 0) FROM {migration_runs} AS r WHERE r.result <> 'failed'
