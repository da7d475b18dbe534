-- summary: SELECT migration_runs
SELECT r.operation
FROM {migration_runs} AS r
WHERE r.backend_pid = %(pid)s::pg_catalog.int4
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_stat_activity AS a
        WHERE a.pid = r.backend_pid AND a.backend_start <> r.backend_start
    )
ORDER BY r.id DESC
LIMIT 1
