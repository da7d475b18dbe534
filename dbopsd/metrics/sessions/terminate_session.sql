-- summary: SELECT pg_terminate_backend
-- Looked up and signalled in one statement: a process id is used again.
SELECT pg_catalog.pg_terminate_backend(pid) AS signalled
FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(start_time)s
