-- summary: SELECT pg_stat_activity
SELECT coalesce(state, '') AS state, query_start AS statement_time
FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(start_time)s
