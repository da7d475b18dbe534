-- summary: SELECT pg_stat_activity
SELECT a.wait_event_type OPERATOR(pg_catalog.=) 'Lock' AS waits
FROM pg_catalog.pg_stat_get_activity(%(pid)s) AS a
