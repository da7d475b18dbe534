-- summary: SELECT pg_cancel_backend
-- Looked up and cancelled in one statement: only the backend that still waits as it was seen to wait.
SELECT pg_catalog.pg_cancel_backend(l.pid) AS cancelled
FROM pg_catalog.pg_locks AS l
WHERE l.pid = %(pid)s AND NOT l.granted AND l.waitstart = %(started)s
