-- summary: SELECT pg_index
-- `busy`: somebody else may be building it, or works on its table in the mode in which one builds.
SELECT
    n.nspname, c.relname, i.indisvalid,
    EXISTS (
        SELECT FROM pg_catalog.pg_locks AS l
        WHERE l.relation OPERATOR(pg_catalog.=) i.indrelid
            AND l.mode OPERATOR(pg_catalog.=) 'ShareUpdateExclusiveLock'
            AND l.granted
            AND l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
            AND l.database OPERATOR(pg_catalog.=) (
                SELECT d.oid FROM pg_catalog.pg_database AS d
                WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
            )
    ) AS busy
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s)
    -- That of a partitioned table is not valid until all partitions have theirs.
    AND c.relkind OPERATOR(pg_catalog.=) 'i'
    AND CASE
        WHEN %(index)s OPERATOR(pg_catalog.<>) '' THEN c.relname OPERATOR(pg_catalog.=) %(index)s::pg_catalog.name
        -- As the server names one.
        ELSE c.relname OPERATOR(pg_catalog.~) '_idx[0-9]*$'
    END
