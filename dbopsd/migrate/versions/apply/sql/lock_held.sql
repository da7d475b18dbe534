-- summary: SELECT pg_locks
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks AS l
    WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'
        AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
        AND l.granted
        AND l.classid::pg_catalog.int8 OPERATOR(pg_catalog.=) %(high)s::pg_catalog.int8
        AND l.objid::pg_catalog.int8 OPERATOR(pg_catalog.=) %(low)s::pg_catalog.int8
        AND l.objsubid OPERATOR(pg_catalog.=) 1
)
