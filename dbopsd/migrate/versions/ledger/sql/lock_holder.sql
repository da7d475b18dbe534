-- summary: SELECT pg_locks
SELECT
    l.pid,
    coalesce(a.application_name, ''),
    coalesce(a.usename::pg_catalog.text, ''),
    ARRAY(
        SELECT m.objid::pg_catalog.int8
        FROM pg_catalog.pg_locks AS m
        WHERE m.locktype = 'advisory' AND m.granted AND m.objsubid = 2
            AND m.pid = l.pid AND m.database = l.database AND m.classid = l.classid
    )
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
    AND l.classid::pg_catalog.int8 = %(high)s::pg_catalog.int8
    AND l.objid::pg_catalog.int8 = %(low)s::pg_catalog.int8
    AND l.objsubid = 1
