-- summary: SELECT pg_cancel_backend
-- Looked up and signalled in one statement: a process id is used again.
SELECT pg_catalog.pg_cancel_backend(pid) AS signalled
FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(start_time)s
