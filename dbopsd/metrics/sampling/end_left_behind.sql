-- summary: SELECT pg_terminate_backend
SELECT pg_catalog.pg_terminate_backend(a.pid)
FROM pg_catalog.pg_stat_get_activity(%(pid)s) AS a
WHERE extract(EPOCH FROM a.backend_start)::pg_catalog.float8 = %(started_at)s
