-- summary: SELECT pg_stat_get_activity
-- The same for two sessions only if they are on one server, where the process is the same backend.
SELECT pg_catalog.pg_postmaster_start_time(), a.pid, a.backend_start
FROM pg_catalog.pg_stat_get_activity(%(pid)s) AS a
