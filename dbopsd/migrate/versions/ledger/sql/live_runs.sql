-- summary: SELECT migration_runs
-- The backend that runs a migration holds the lock of migrations. It may be another one with the same
-- process id, and a pooler may keep it for others after its client is gone, without the lock.
SELECT r.id
FROM {migration_runs} AS r
WHERE r.result = 'running'
    AND EXISTS (
        SELECT FROM pg_catalog.pg_locks AS l
        WHERE l.locktype = 'advisory' AND l.granted AND l.pid = r.backend_pid
            AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
            AND l.classid::pg_catalog.int8 = %(high)s::pg_catalog.int8
            AND l.objid::pg_catalog.int8 = %(low)s::pg_catalog.int8
            AND l.objsubid = 1
    )
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_stat_activity AS a
        -- It is hidden from roles that may not see other roles' sessions.
        WHERE a.pid = r.backend_pid AND a.backend_start <> r.backend_start
    )
