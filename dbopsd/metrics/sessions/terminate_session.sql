-- summary: SELECT pg_terminate_backend
SELECT pg_terminate_backend(pid) AS signalled
FROM pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(start_time)s
