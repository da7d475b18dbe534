-- summary: SELECT pg_backend_pid
SELECT a.pid, a.backend_start
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a
