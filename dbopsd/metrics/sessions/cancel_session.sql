-- summary: SELECT pg_cancel_backend
SELECT pg_cancel_backend(pid) AS signalled
FROM pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(start_time)s
